//! `quality nested`: figures of sets that the constants were not chosen on.
//!
//! For each set the constants are chosen by the others, the scenarios among them; then the set is scored with them. Of
//! NAB each group of streams is left out as well: the score is that of all streams together, each with constants chosen
//! without its group.

use std::path::Path;

use serde::{Serialize, Serializer};

use crate::Failure;
use crate::data::{NAB, REAL, SCENARIOS, Set, load};
use crate::events::Figures;
use crate::grid::{Constants, Grid, Point};
use crate::nab::{self, group};
use crate::score::Scores;
use crate::table::{FIGURES, cells, profiles};

/// What the page is made of. In sample is what the same search chooses with all sets in sight: what is lost from there
/// to out of fold is what the choice was fitted to a set. The shipped constants were chosen otherwise.
#[derive(Serialize)]
pub(crate) struct Nested {
    shipped: Named<Figures>,
    in_sample: Named<Figures>,
    out_of_fold: Named<Figures>,
    chosen: Named<Constants>,
    nab: Numenta,
}

/// Standard, low FP, low FN. Out of fold each group is left out; `unseen` is with all of NAB left out.
#[derive(Serialize)]
struct Numenta {
    shipped: [f64; 3],
    in_sample: [f64; 3],
    out_of_fold: [f64; 3],
    unseen: [f64; 3],
    chosen: Named<Constants>,
}

/// What belongs to names, in order.
struct Named<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Measures the whole grid, and prints what comes of it.
pub(crate) fn measure(folder: &Path) -> Result<Nested, Failure> {
    let sets = load(folder, [SCENARIOS].into_iter().chain(REAL))?;
    let numenta = sets.iter().find(|set| set.name == NAB).ok_or("there is no NAB")?;
    let mut groups: Vec<&str> = numenta.series.iter().map(group).collect();
    groups.dedup();
    let grid = Grid::measure(&sets, &groups)?;
    let (shipped, searched) = (grid.shipped(), grid.best(None));
    for (what, point) in [("shipped", shipped), ("all sets in sight", searched)] {
        println!("{what}: objective {:.3}, {:?}", grid.objective(point, None), point.constants());
    }

    let without: Vec<&Point> = sets.iter().map(|set| grid.best(Some(&set.name))).collect();
    let figures = |of: &dyn Fn(usize) -> Figures| {
        Named(sets.iter().enumerate().map(|(at, set)| (set.name.clone(), of(at))).collect())
    };
    let found = Nested {
        shipped: figures(&|at| shipped.figures[at]),
        in_sample: figures(&|at| searched.figures[at]),
        out_of_fold: figures(&|at| without[at].figures[at]),
        chosen: chosen(sets.iter().map(|set| set.name.as_str()), &without),
        nab: by_nab(&grid, numenta, &groups)?,
    };
    print(&found);
    Ok(found)
}

fn chosen<'a>(names: impl Iterator<Item = &'a str>, points: &[&Point]) -> Named<Constants> {
    Named(names.zip(points).map(|(name, point)| (name.to_owned(), point.constants())).collect())
}

fn by_nab(grid: &Grid<'_>, numenta: &Set, groups: &[&str]) -> Result<Numenta, Failure> {
    let without: Vec<&Point> = (0..groups.len()).map(|group| grid.best_by_nab(Some(group))).collect();
    // Each group is scored with the constants that were chosen without it.
    let mut rows = vec![Vec::new(); numenta.series.len()];
    for (left_out, point) in groups.iter().zip(&without) {
        let scores = Scores::of(numenta, point.tuning)?;
        for ((series, row), scores) in numenta.series.iter().zip(&mut rows).zip(scores.rows) {
            if group(series) == *left_out {
                *row = scores;
            }
        }
    }
    Ok(Numenta {
        shipped: grid.shipped().nab,
        in_sample: grid.best_by_nab(None).nab,
        out_of_fold: nab::of(numenta, &rows, |_| true),
        unseen: grid.best(Some(NAB)).nab,
        chosen: chosen(groups.iter().copied(), &without),
    })
}

fn print(found: &Nested) {
    for (what, of) in [("shipped", &found.shipped), ("in sight", &found.in_sample), ("left out", &found.out_of_fold)] {
        println!("\n{what:<24}{FIGURES}");
        for (name, figures) in &of.0 {
            println!("{name:<24}{}", cells(figures));
        }
        let real = of.0.iter().filter(|(name, _)| name != SCENARIOS).map(|(_, figures)| *figures);
        println!("{:<24}{}", "mean of the seven", cells(&Figures::mean(&real.collect::<Vec<_>>())));
    }
    let Numenta { shipped, in_sample, out_of_fold, unseen, chosen } = &found.nab;
    println!("\nNAB, shipped {}", profiles(*shipped));
    println!("NAB, in sight {}", profiles(*in_sample));
    println!("NAB, each group left out {}", profiles(*out_of_fold));
    println!("NAB, all of it left out {}", profiles(*unseen));
    for (name, constants) in found.chosen.0.iter().chain(&chosen.0) {
        println!("without {name}: {constants:?}");
    }
}
