//! People live by local time: what the untrained detector makes of office hours when clocks are put forward or back.

use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::streaming::{Parameters, Streaming, Zone};

use noise::Noise;

mod noise;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const STEP: i64 = 300;

/// When summer time began and ended in Berlin in 2026: 1:00 UTC on 29 March and on 25 October, both Sundays.
const SPRING: i64 = 1_774_746_000;
const AUTUMN: i64 = 1_792_890_000;

fn berlin() -> Zone {
    Zone::new("Europe/Berlin", vec![(0, HOUR), (SPRING, 2 * HOUR), (AUTUMN, HOUR)]).expect("it is right")
}

/// Seconds since 1970 as clocks in Berlin show them.
fn local(seconds: i64) -> i64 {
    seconds + if (SPRING..AUTUMN).contains(&seconds) { 2 * HOUR } else { HOUR }
}

/// The share of a day's peak at a local hour.
type Shape = fn(f64) -> f64;

/// Rises through the morning, and falls through the afternoon.
fn smooth(hour: f64) -> f64 {
    let far = (hour - 12.0) / 4.0;
    libm::exp(-0.5 * far * far)
}

/// Begins at eight, and ends at six.
fn sharp(hour: f64) -> f64 {
    if (8.0..18.0).contains(&hour) { 1.0 } else { 0.05 }
}

/// What is reported of a series.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    /// In the two weeks before the change, and in the one after.
    before: usize,
    after: usize,
    /// Series of which an outage at local noon, on the second Tuesday after, is reported within a quarter of an hour.
    outages: usize,
}

/// Ten series of these office hours, from five weeks before a change of the clock until ten days after.
fn score(zone: &Zone, shape: Shape, change: i64) -> Found {
    let mut found = Found::default();
    for seed in 1..=10 {
        let mut noise = Noise(seed);
        let mut detector = Streaming::new(Parameters { zone: zone.clone(), ..Parameters::default() });
        let sunday = change.div_euclid(DAY) * DAY;
        let noon = sunday + 9 * DAY + 12 * HOUR - (local(change) - change);
        let mut outage = false;
        for time in (sunday - 35 * DAY..noon + 2 * HOUR).step_by(STEP as usize) {
            let clock = local(time);
            let share = if matches!((clock.div_euclid(DAY) + 4).rem_euclid(7), 0 | 6) { 0.4 } else { 1.0 };
            let usual = 1000.0 * share * shape(clock.rem_euclid(DAY) as f64 / HOUR as f64);
            let out = (noon..noon + HOUR / 2).contains(&time);
            let value = if out { 0.0 } else { usual * (1.0 + 0.05 * noise.gaussian()) };
            let batch = Batch { series: &[0], times: &[time * 1_000_000_000], values: &[value] };
            let reported = detector.verdicts_of(batch, Wanted::SCORES).expect("a row of one value").scores[0] > 1.0;
            found.before += usize::from(reported && (change - 14 * DAY..change).contains(&time));
            found.after += usize::from(reported && (change..change + 7 * DAY).contains(&time));
            outage |= reported && (noon..noon + HOUR / 4).contains(&time);
        }
        found.outages += usize::from(outage);
    }
    found
}

/// With the zone's days, ten series have hardly a report at the change; in UTC each has several. These are the
/// figures in `docs/streaming.md`.
#[test]
fn a_change_of_the_clock_is_no_anomaly_where_the_zone_is_known() {
    for (name, shape, change) in [
        ("smooth, spring", smooth as Shape, SPRING),
        ("smooth, autumn", smooth, AUTUMN),
        ("sharp, spring", sharp, SPRING),
        ("sharp, autumn", sharp, AUTUMN),
    ] {
        let (here, utc) = (score(&berlin(), shape, change), score(&Zone::UTC, shape, change));
        println!("{name}: in Berlin {here:?}, in UTC {utc:?}");
        assert!(here.before <= 12 && here.after <= 10, "{name}: {here:?}");
        assert!(utc.after >= 60 && utc.after >= utc.before + 50, "{name}: {utc:?}");
        assert_eq!(here.outages, 10, "{name}");
    }
}

#[test]
fn what_was_learned_in_another_zone_is_refused_by_name() {
    let open = |zone: Zone| {
        let model = Parameters { zone, ..Parameters::default() }.to_model();
        qualm_core::open(&model).expect("it is right")
    };
    let everyone = [Some(0)];
    for (learned, now) in [(berlin(), Zone::UTC), (Zone::UTC, berlin())] {
        let state = open(learned.clone()).save_series(&[0]).expect("no error");
        let error = open(now.clone()).restore_series(&state, &everyone).expect_err("it is of another zone").to_string();
        assert!(error.contains(learned.name()) && error.contains(now.name()), "{error}");
        open(learned).restore_series(&state, &everyone).expect("it is its own");
    }
    // Rules that change, as in a later database, change nothing of what is usual by the clock.
    let summer_for_ever = Zone::new("Europe/Berlin", vec![(0, HOUR), (SPRING, 2 * HOUR)]).expect("it is right");
    let state = open(berlin()).save_series(&[0]).expect("no error");
    open(summer_for_ever).restore_series(&state, &everyone).expect("it is of the same zone");
}
