//! Damaged components: truncated, or with flipped bits.

use qualm_contract::Verdicts;
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Limits, Running, Sandbox};

use crate::components::Core;
use crate::support::LIMITS;

/// The number of damaged components.
const MUTANTS: u64 = 500;

/// None makes the host panic: each is refused, fails or works.
#[test]
fn damaged_components_are_refused_or_fail_or_work() {
    let whole = Core::default().build();
    let sandbox = Sandbox::new(None);
    let (mut refused, mut failed, mut worked) = (0, 0, 0);
    let mut seed = 1_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for at in 0..MUTANTS {
        let mut mutant = whole.clone();
        match at % 5 {
            0 => mutant.truncate(next() % whole.len()),
            1 => drop(mutant.drain(next() % whole.len()..).next()),
            _ => {
                for _ in 0..=next() % 3 {
                    mutant[next() % whole.len()] ^= 1 << (next() % 8);
                }
            }
        }
        let limits = Limits { memory: 8 << 20, ..LIMITS };
        let Ok(spec) = DetectorSpec::plugin(&sandbox, &mutant, b"{}".to_vec(), limits) else {
            refused += 1;
            continue;
        };
        let mut rows = Rows::default();
        rows.add(0, 0, 0.5);
        let mut verdicts = Verdicts::default();
        let ran = Running::start(spec, 1)
            .and_then(|mut running| running.guest().score_batch(rows.batch(), rows.wanted(), &mut verdicts));
        match ran {
            Ok(()) => worked += 1,
            Err(failure) => {
                assert!(failure.to_string().len() < 600, "{failure}");
                failed += 1;
            }
        }
    }
    // Changed names and constants do not matter; most other changes do.
    assert!(refused > 200 && failed + worked > 20, "{refused} refused, {failed} failed, {worked} worked");
    assert_eq!(refused + failed + worked, MUTANTS);
}
