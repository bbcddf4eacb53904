use qualm_pipeline::Rows;

use super::*;

fn start(component: &[u8], model: &[u8], limits: Limits) -> Result<Guest, Failure> {
    let sandbox = Sandbox::new(None);
    Guest::start(&DetectorSpec::new(&sandbox, component, model.to_vec(), limits).unwrap())
}

fn attack(model: &str) -> Failure {
    let limits = Limits { memory: 32 << 20, deadline: Duration::from_millis(250) };
    let mut guest = match start(qualm_test_plugins::HOSTILE, model.as_bytes(), limits) {
        Ok(guest) => guest,
        Err(failure) => return failure,
    };
    let mut rows = Rows::default();
    rows.bands = true;
    (0..3).for_each(|time| rows.add(0, time, 0.5));
    let related = guest.relate_series(&[0], &[1]);
    let observed = related.and_then(|()| guest.score_batch(rows.batch(), rows.wanted(), &mut Verdicts::default()));
    let failed = observed.and_then(|()| guest.forget_series(&[0])).and_then(|()| guest.save_series(&[0]));
    let failure = failed.and_then(|state| guest.restore_series(&state, &[Some(0)])).expect_err(model);
    assert!(guest.memory() <= limits.memory);
    failure
}

#[test]
fn every_attack_ends_in_a_failure_that_names_it() {
    for (model, name) in [
        ("loop", "deadline"),
        ("open-loop", "deadline"),
        ("relate-loop", "deadline"),
        ("forget-loop", "deadline"),
        ("save-loop", "deadline"),
        ("restore-loop", "deadline"),
        ("trap", "trap"),
        ("open-trap", "trap"),
        ("relate-trap", "trap"),
        ("forget-trap", "trap"),
        ("save-trap", "trap"),
        ("restore-trap", "trap"),
        ("stack", "trap"),
        ("memory", "memory"),
        ("save-memory", "memory"),
        ("short", "nonsense"),
        ("long", "nonsense"),
        ("none", "nonsense"),
        ("many", "nonsense"),
        ("infinite", "nonsense"),
        ("negative", "nonsense"),
        ("few-reasons", "nonsense"),
        ("many-reasons", "nonsense"),
        ("few-bands", "nonsense"),
        ("many-bands", "nonsense"),
        ("crossed-bands", "nonsense"),
        ("infinite-bands", "nonsense"),
        ("open-error", "memory"),
        ("error", "memory"),
        ("control", "refused"),
        ("restore-error", "refused"),
    ] {
        assert_eq!(attack(model).name(), name, "{model}");
    }
}

fn rows(count: i64, features: usize) -> Rows {
    let mut rows = Rows::new(features);
    (0..count).for_each(|time| rows.add_vector(0, time, &vec![0.5; features]));
    rows
}

#[test]
fn a_deadline_is_for_a_call_and_a_batch_has_as_many_as_it_needs_up_to_a_limit() {
    let sandbox = Sandbox::new(None);
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_secs(10) };
    let slow = DetectorSpec::new(&sandbox, qualm_test_plugins::HOSTILE, b"slow".to_vec(), limits).unwrap();
    let mut guest = Guest::start(&slow).unwrap();
    let began = thread_time();
    guest.score_batch(rows(50, 1).batch(), Wanted::SCORES, &mut Verdicts::default()).unwrap();
    let deadline = thread_time().saturating_sub(began) * 12; // of six hundred rows, on a machine as fast as just now
    let mut guest = Guest::start(&slow.with_limits(Limits { deadline, ..limits })).unwrap();
    let mut verdicts = Verdicts::default();
    guest.score_batch(rows(900, 1).batch(), Wanted::CONTRIBUTIONS, &mut verdicts).unwrap();
    assert_eq!((verdicts.scores.len(), verdicts.contributions.len()), (900, 900));

    verdicts.clear();
    let failure = guest.score_batch(rows(9000, 1).batch(), Wanted::SCORES, &mut verdicts).unwrap_err();
    let Failure::Slow { rows: 9000, scored, limit } = failure else { panic!("{failure}") };
    assert!(limit == deadline * 4 && scored == verdicts.scores.len() && scored > 300, "{failure}");
    guest.score_batch(rows(1, 1).batch(), Wanted::SCORES, &mut Verdicts::default()).expect("it goes on");
}

#[test]
fn wide_rows_in_masses_take_no_more_memory_than_some() {
    let table = rows(2000, 1000);
    let batch = table.batch();
    let fitted = qualm_core::zscore::fit(
        qualm_core::trained::Rows::new(&table.values, 1000),
        batch,
        &qualm_core::trained::Settings::default(),
    );
    let limits = Limits { memory: 48 << 20, deadline: Duration::from_secs(10) };
    let mut guest = start(qualm_components::DETECTOR, &fitted.unwrap().to_model(), limits).unwrap();
    let mut verdicts = Verdicts::default();
    for _ in 0..8 {
        verdicts.clear();
        guest.score_batch(rows(10_000, 1000).batch(), Wanted::SCORES, &mut verdicts).unwrap(); // 80 MB of values
    }
    assert_eq!(verdicts.scores.len(), 10_000);
}

#[test]
fn a_guests_texts_are_fit_for_a_log() {
    assert_eq!(attack("control").to_string(), "it refused: internal: line·E! forged·[2J·");
    let limits = Limits::default();
    let failure = start(qualm_test_plugins::HOSTILE, b"open-error", limits).unwrap_err();
    assert!(failure.to_string().len() < 400, "an error of 32 MiB is cut short");
}

#[test]
fn what_is_no_detector_is_refused() {
    let sandbox = Sandbox::new(None);
    let error = DetectorSpec::plugin(&sandbox, qualm_components::CLI, Vec::new(), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("does not export `qualm:detector/detection`"), "{error}");
}

#[test]
fn the_detector_describes_itself() {
    let model = qualm_core::streaming::Parameters::default().to_model();
    let mut guest = start(qualm_components::DETECTOR, &model, Limits::default()).unwrap();
    let description = guest.describe().unwrap();
    assert_eq!((description.kind.as_str(), description.features), ("streaming", 1));
    let failure = start(qualm_components::DETECTOR, b"no model", Limits::default()).unwrap_err();
    assert!(failure.to_string().contains("not a safetensors file"), "{failure}");
}
