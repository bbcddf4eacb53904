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
    ModelReference::new(title, file.as_ref(), SystemTime::now())
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
        monitor.worker.as_mut().unwrap().record(batch, &scores[range], &|_| b",host=a");
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        monitor.worker.as_mut().unwrap().pass_on();
        let DriftView::Known(snapshot) = monitor.view() else { panic!("there is a reference") };
        let waits = !monitor.worker.as_ref().unwrap().filling.times.is_empty();
        if (snapshot.report.state != State::Learning && !waits) || Instant::now() > deadline {
            return snapshot;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_feature_that_moved_is_found_and_named() {
    let mut monitor = Monitor::start(None, &model(true), "all", names(), &Drift::default(), None);
    let snapshot = after(&mut monitor, rows(30, 0.0));
    assert_eq!(snapshot.report.state, State::None);
    assert_eq!((monitor.view().state(), monitor.skipped()), (Some("none"), 0));

    let mut monitor = Monitor::start(None, &model(true), "all", names(), &Drift::default(), None);
    let deadline = Instant::now() + Duration::from_mins(1);
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
    let monitor = Monitor::start(None, &model, "all", names(), &Drift::default(), None);
    assert_eq!(monitor.view().state(), Some("unknown"));
    assert!(monitor.is_of(&model.title) && !monitor.is_of(&self::model(true).title));
    let off = Drift { enabled: false, ..Drift::default() };
    let monitor = Monitor::start(None, &self::model(true), "all", names(), &off, None);
    assert_eq!(monitor.view().state(), None);
}

#[test]
fn rows_that_the_thread_has_no_time_for_are_left_out_and_counted() {
    let mut monitor = Monitor::start(None, &model(true), "all", names(), &Drift::default(), None);
    let worker = monitor.worker.as_mut().unwrap();
    // As if the thread had ended: nothing comes back.
    worker.empty = sync_channel(1).1;
    let (rows, values) = (MAX_VALUES / 2, vec![0.5; MAX_VALUES]);
    let batch = Batch { series: &vec![0; rows], times: &vec![0; rows], values: &values };
    let scores = vec![0.1; rows];
    for _ in 0..3 {
        worker.record(batch, &scores, &|_| b"");
    }
    assert!(worker.filling.values.capacity() <= MAX_VALUES);
    assert_eq!(monitor.skipped(), 2 * rows as u64, "a buffer's worth waits");
}

#[test]
fn entities_are_looked_at_one_by_one_whichever_model_there_is() {
    let config = Drift { entities: 5, ..Drift::default() };
    let mut monitor = Monitor::start(None, &model(true), "all", names(), &config, None);
    let snapshot = after(&mut monitor, rows(30, 0.0));
    let states = |snapshot: &DriftSnapshot| {
        snapshot.entities.iter().map(|one| (one.name.clone(), one.state)).collect::<Vec<_>>()
    };
    assert_eq!(states(&snapshot), [("host=a".to_owned(), State::Learning)]);
    // It has learnt from five windows, and goes on under another model.
    let mut monitor = Monitor::start(Some(monitor), &model(true), "all", names(), &config, None);
    let (times, values, scores) = rows(80, 0.0);
    let deadline = Instant::now() + Duration::from_mins(1);
    let later = (times[3000..].to_vec(), values[6000..].to_vec(), scores[3000..].to_vec());
    let mut snapshot = after(&mut monitor, later);
    while states(&snapshot)[0].1 == State::Learning && Instant::now() < deadline {
        let DriftView::Known(next) = monitor.view() else { panic!("there is a reference") };
        snapshot = next;
    }
    assert_eq!(states(&snapshot), [("host=a".to_owned(), State::None)]);
    assert!(snapshot.samples().iter().any(|one| one.name == "entity_drift" && one.labels == [("entity", "host=a")]));
}

#[test]
fn rows_are_kept_where_they_are_trained_on() {
    let root = tempfile::tempdir().unwrap();
    let options = crate::config::Retrain { enabled: true, on_drift: false, on_alarms: false, ..Default::default() };
    let plan = Plan { detector: "all".to_owned(), state: root.path().to_owned(), options };
    let dir = plan.rows();
    let mut monitor = Monitor::start(None, &model(true), "all", names(), &Drift::default(), Some(plan));
    after(&mut monitor, rows(30, 0.0));
    monitor.forget_series(&[0, 9]);
    let batch = Batch { series: &[0], times: &[1], values: &[1.0, 2.0] };
    monitor.worker.as_mut().unwrap().record(batch, &[0.5], &|_| b",host=b");
    monitor.finish();
    let kept = qualm_bundle::rows::Rows::read(&dir, &names()).unwrap().rows;
    assert_eq!((kept.len(), kept.entities), (3001, vec!["host=a".to_owned(), "host=b".to_owned()]));
    assert_eq!(kept.series.iter().filter(|series| **series == 1).count(), 1);
}
