//! A deployment: so many pods at a time, each of which gives way to the next.

use qualm_contract::{Batch, BatchScorer, Detector, Wanted};
use qualm_core::streaming::{Parameters, Prior, Streaming, Tuning};

use crate::found::Found;
use crate::noise::Noise;
use crate::pod::{Kind, Pod, Trouble};

/// Pods that live at a time.
const AT_ONCE: usize = 20;
/// Rows after an incident in which a report is of its end, and neither false nor a hit.
const AFTER: usize = 40;
/// The shortest life, in seconds.
const SHORTEST: f64 = 900.0;

/// What one metric of a deployment is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deployment {
    pub(crate) kind: Kind,
    /// Seconds between two rows.
    pub(crate) step: f64,
    /// The longest life of a pod, in seconds.
    pub(crate) longest: f64,
    /// Pods that live at all.
    pub(crate) pods: usize,
    pub(crate) seed: u64,
}

/// One of the pods that live at a time.
#[derive(Debug)]
struct Alive {
    pod: Pod,
    hit: bool,
}

impl Deployment {
    /// What a detector finds of it, in all and by what went wrong. A pod that has ended is forgotten at once.
    pub(crate) fn measure(&self, prior: Prior, tuning: Tuning) -> (Found, [Found; Trouble::ALL.len()]) {
        let mut detector = Streaming::with_tuning(Parameters { prior, ..Parameters::default() }, tuning);
        let mut noise = Noise::new(self.seed);
        let mut alive: Vec<Option<Alive>> = (0..AT_ONCE).map(|_| None).collect();
        let mut rests: Vec<usize> = (0..AT_ONCE).map(|at| 3 * at).collect();
        let (mut found, mut by_trouble) = (Found::default(), [Found::default(); Trouble::ALL.len()]);
        let mut row = 0;
        while found.pods < self.pods || alive.iter().any(Option::is_some) {
            row += 1;
            for (at, (place, rest)) in alive.iter_mut().zip(&mut rests).enumerate() {
                let number = at as u32;
                let Some(Alive { pod, hit }) = place else {
                    if *rest > 0 {
                        *rest -= 1;
                    } else if found.pods < self.pods {
                        *place = Some(Alive { pod: self.begin(&mut found, &mut noise), hit: false });
                        detector.relate_series(&[number], &[0]);
                    }
                    continue;
                };
                let (value, age) = (pod.next(), pod.row - 1);
                let times = [(f64::from(row) * self.step * 1e9) as i64 + at as i64];
                let batch = Batch { series: &[number], times: &times, values: &[value] };
                let score = detector.verdicts_of(batch, Wanted::SCORES).map_or(f64::NAN, |verdicts| verdicts.scores[0]);
                let during = pod.incident.as_ref().is_some_and(|incident| incident.rows.contains(&age));
                let after = pod
                    .incident
                    .as_ref()
                    .is_some_and(|incident| (incident.rows.end..incident.rows.end + AFTER).contains(&age));
                *hit |= during && score > 1.0;
                let band = found.band(age);
                band.scored += usize::from(!score.is_nan());
                band.false_alarms += usize::from(score > 1.0 && !during && !after);
                if pod.row < pod.rows {
                    continue;
                }
                if let Some(incident) = &pod.incident {
                    for found in [&mut found, &mut by_trouble[incident.trouble as usize]] {
                        let band = found.band(incident.rows.start);
                        band.incidents += 1;
                        band.hits += usize::from(*hit);
                    }
                }
                *place = None;
                *rest = noise.between(0.0, 5.0) as usize;
                detector.forget_series(&[number]).expect("no error");
            }
        }
        (found, by_trouble)
    }

    /// The next pod.
    fn begin(&self, found: &mut Found, noise: &mut Noise) -> Pod {
        let seconds = SHORTEST * libm::exp(noise.uniform() * libm::log(self.longest / SHORTEST));
        found.pods += 1;
        found.days += seconds / 86_400.0;
        let own = Noise::new(self.seed.wrapping_mul(1_000_003).wrapping_add(found.pods as u64));
        Pod::new(self.kind, (seconds / self.step) as usize, self.step, own)
    }
}
