use std::time::{Duration, Instant};

use qualm_bundle::reference::ReferenceFile;
use qualm_drift::Reference;

use super::*;

/// Ten rows an hour; the second of two features is larger by `by`.
fn rows(hours: i64, by: f64) -> (Vec<i64>, Vec<f64>, Vec<f64>) {
    let times: Vec<i64> = (0..hours * 100).map(|row| row * 36_000_000_000).collect();
    let noise = |row: i64, seed: i64| ((row * 7919 + seed) * 104_729 % 10_007) as f64 / 10_007.0;
    let values = (0..hours * 100).flat_map(|row| [noise(row, 1), noise(row, 2) + by]).collect();
    let scores = (0..hours * 100).map(|row| noise(row, 3) * 0.5).collect();
    (times, values, scores)
}

fn model(reference: bool) -> ModelReference {
    let (times, values, scores) = rows(50, 0.0);
    let window = Duration::from_hours(5);
    let reference = reference.then(|| Reference::new(&times, &values, 2, &scores, window).unwrap());
    let file = reference.map(|reference| ReferenceFile::new(reference, window));
    let title = Arc::new(Title { name: "host".to_owned(), version: 3, kind: "zscore".to_owned() });
    ModelReference::new(title, file.as_ref())
}

fn names() -> Vec<String> {
    vec!["cpu".to_owned(), "disk".to_owned()]
}

/// Records rows in batches, and waits until they are compared.
fn after(monitor: &mut Monitor, (times, values, scores): (Vec<i64>, Vec<f64>, Vec<f64>)) -> Arc<DriftSnapshot> {
    let series = vec![0; times.len()];
    for start in (0..times.len()).step_by(100) {
        let range = start..start + 100;
        let batch = Batch {
            series: &series[range.clone()],
            times: &times[range.clone()],
            values: &values[start * 2..(start + 100) * 2],
        };
        monitor.record(batch, &scores[range]);
    }
    let nothing = Batch { series: &[], times: &[], values: &[] };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        monitor.record(nothing, &[]); // passes on what waits
        let DriftView::Known(snapshot) = monitor.view() else { panic!("there is a reference") };
        let waits = monitor.worker.as_ref().unwrap().filling.as_ref().is_none_or(|waiting| !waiting.times.is_empty());
        if (snapshot.report.state != State::Learning && !waits) || Instant::now() > deadline {
            return snapshot;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_feature_that_moved_is_found_and_named() {
    let mut monitor = Monitor::start("all", &model(true), &names(), &Drift::default());
    let snapshot = after(&mut monitor, rows(30, 0.0));
    assert_eq!(snapshot.report.state, State::None);
    assert_eq!((monitor.view().state(), monitor.skipped()), (Some("none"), 0));

    let mut monitor = Monitor::start("all", &model(true), &names(), &Drift::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut snapshot = after(&mut monitor, rows(30, 2.0));
    while snapshot.report.state != State::Drifting && Instant::now() < deadline {
        let DriftView::Known(next) = monitor.view() else { panic!("there is a reference") };
        snapshot = next;
    }
    let drifted: Vec<bool> = snapshot.report.features.iter().map(|feature| feature.drifted).collect();
    assert_eq!((drifted, monitor.view().state()), (vec![false, true], Some("drifting")));
    assert_eq!(what_drifts(&snapshot), "`disk` has changed");
}

#[test]
fn without_a_reference_drift_is_unknown() {
    let model = model(false);
    let mut monitor = Monitor::start("all", &model, &names(), &Drift::default());
    monitor.record(Batch { series: &[0], times: &[0], values: &[1.0, 2.0] }, &[0.5]);
    assert_eq!(monitor.view().state(), Some("unknown"));
    assert!(monitor.is_of(&model.title) && !monitor.is_of(&self::model(true).title));
}

#[test]
fn rows_that_the_thread_has_no_time_for_are_left_out_and_counted() {
    let mut monitor = Monitor::start("all", &model(true), &names(), &Drift::default());
    let worker = monitor.worker.as_mut().unwrap();
    // As if the thread had ended: nothing comes back.
    worker.empty = sync_channel(1).1;
    let (rows, values) = (MAX_VALUES / 2, vec![0.5; MAX_VALUES]);
    let batch = Batch { series: &vec![0; rows], times: &vec![0; rows], values: &values };
    let scores = vec![0.1; rows];
    for _ in 0..3 {
        monitor.record(batch, &scores);
    }
    assert_eq!(monitor.skipped(), 2 * rows as u64, "a buffer's worth waits");
    assert!(monitor.worker.unwrap().filling.unwrap().values.capacity() <= MAX_VALUES);
}
