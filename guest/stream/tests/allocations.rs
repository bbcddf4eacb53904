//! After warm-up the hot path allocates nothing per metric.

use qualm_stream::{Lane, Limits, Pipeline, Rows, Scorer, Selector, Verdicts};

struct Zero;

impl Scorer for Zero {
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
        verdicts.scores.resize(rows.len(), 0.0);
    }

    fn forget(&mut self, _: &[u32]) {}
}

#[test]
fn a_warm_pipeline_does_not_allocate() {
    let lines: String = (0..5000)
        .map(|at| {
            format!("cpu,cpu=cpu{},host=a usage_idle=97.{at},usage_user=0.5,n={at}i,s=\"text\" 17{at}\n", at % 100)
        })
        .collect();
    let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 1);
    let mut give = || {
        pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        pipeline.run(lines.len(), 0, &mut [Zero]).len()
    };
    assert!(give() > lines.len());
    let info = allocation_counter::measure(|| {
        give();
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}
