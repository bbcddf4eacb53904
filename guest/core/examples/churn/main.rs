//! Measures what `prior = "siblings"` is worth where series come and go: pods of a deployment, each of which lives for a
//! quarter of an hour, or up to six hours.
//!
//! ```text
//! cargo run --release -p qualm-core --example churn [-- SEED... NAME=VALUE...]
//! ```
//!
//! Bands are those of rows 10 to 29, 30 to 99 and later ones of a pod's life.
//!
//! Seeds are 3 and 4 by default; the constants were chosen with 1 and 2. NAME is one of the constants that matter: `own_rows`,
//! `teaching_rows`, `max_sibling_rows`.

mod deployment;
mod found;
mod noise;
mod pod;

use std::env;
use std::error::Error;

use deployment::Deployment;
use found::Found;
use pod::{Kind, Trouble};
use qualm_core::streaming::{Parameters, Prior, Tuning};

/// Seconds between rows, and of the longest life.
const STEPS: [f64; 3] = [10.0, 15.0, 60.0];
const LONGEST: [f64; 2] = [900.0, 21_600.0];
/// Pods of each deployment.
const PODS: usize = 3000;

const HEAD: &str = "\
| | incidents | hit, `none` | `siblings` | by band | false episodes a pod, `none` | `siblings` | a day, `none` | `siblings` | rate by \
band, `none` | `siblings` |
|---|---|---|---|---|---|---|---|---|---|---|";

/// What was found, by name.
type Table = Vec<(String, Found)>;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seeds, mut tuning) = (Vec::new(), Tuning::SHIPPED);
    for given in env::args().skip(1) {
        match given.split_once('=') {
            Some(("own_rows", value)) => tuning.own_rows = value.parse()?,
            Some(("teaching_rows", value)) => tuning.teaching_rows = value.parse()?,
            Some(("max_sibling_rows", value)) => tuning.max_sibling_rows = value.parse()?,
            Some((name, _)) => return Err(format!("there is no constant `{name}` here").into()),
            None => seeds.push(given.parse()?),
        }
    }
    if seeds.is_empty() {
        seeds = vec![3, 4];
    }
    println!("{HEAD}");
    let [none, siblings] = Prior::ALL.map(|prior| table(&seeds, prior, tuning));
    for ((name, none), (_, siblings)) in none.iter().zip(&siblings) {
        let ([hit, _], [found, by_band]) = (none.hits(), siblings.hits());
        let rate = Parameters::default().false_alarm_rate;
        let pairs = none.false_alarms(rate).into_iter().zip(siblings.false_alarms(rate));
        let false_alarms: Vec<_> = pairs.map(|(none, siblings)| format!("{none} | {siblings}")).collect();
        println!(
            "| {name} | {} | {hit} | {found} | {by_band} | {} |",
            siblings.all().incidents,
            false_alarms.join(" | ")
        );
    }
    Ok(())
}

/// What is found of all deployments, and of those that have something in common.
fn table(seeds: &[u64], prior: Prior, tuning: Tuning) -> Table {
    let lives = ["pods live 15 minutes", "pods live 15 minutes to 6 hours"];
    let steps = STEPS.map(|step| format!("a row each {step} s"));
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    let troubles = Trouble::ALL.iter().map(|trouble| trouble.name());
    let names = ["all"].into_iter().chain(lives).chain(steps.iter().map(String::as_str)).chain(kinds).chain(troubles);
    let mut table: Table = names.map(|name| (name.to_owned(), Found::default())).collect();
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        for (step, step_name) in STEPS.into_iter().zip(&steps) {
            for (longest, life) in LONGEST.into_iter().zip(lives) {
                for seed in seeds {
                    let seed = seed * 100_000 + at as u64 * 1000 + (step + longest) as u64;
                    let (found, by_trouble) =
                        Deployment { kind, step, longest, pods: PODS, seed }.measure(prior, tuning);
                    for name in ["all", life, step_name, kind.name()] {
                        add(&mut table, name, found);
                    }
                    for (trouble, found) in Trouble::ALL.into_iter().zip(by_trouble) {
                        add(&mut table, trouble.name(), found);
                    }
                }
            }
        }
    }
    table
}

fn add(table: &mut Table, name: &str, found: Found) {
    table.iter_mut().filter(|(known, _)| known == name).for_each(|(_, sum)| *sum += found);
}
