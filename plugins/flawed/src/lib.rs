//! A detector that violates the contract in one way, which its model names: `qualm plugin check` must find each.
//!
//! The model is a text of the form `flawed FLAW`, or, calibrated, `flawed FLAW ORDINARY THRESHOLD`. Each flaw is
//! documented where it is implemented: search for its name.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use exports::qualm::detector::{details, detection, training};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package qualm:flawed;
        world flawed {
            include qualm:detector/trainable-plugin@0.1.2;
            include qualm:detector/detailed-plugin@0.1.2;
        }
    ",
    world: "qualm:flawed/flawed",
    generate_all,
});

const FLAWS: [&str; 26] = [
    "none",
    "kind",
    "moody",
    "unnamed",
    "chatty",
    "explaining",
    "alone",
    "nothing",
    "lax",
    "crowded",
    "poisoned",
    "overflow",
    "clockwork",
    "batched",
    "rounding",
    "gullible",
    "halfway",
    "keepsake",
    "alarmist",
    "silent",
    "sleepy",
    "slow",
    "hoarder",
    "clinging",
    "twofaced",
    "rhetorical",
];

/// Flaws in training.
const TRAINING_FLAWS: [&str; 3] = ["untrainable", "careless", "uncalibrated"];

/// Rows of a series before its first score.
const WARM_UP: f64 = 20.0;

/// The first bytes of saved state, and the bytes of a series in it.
const STATE_MAGIC: &[u8] = b"flawed 1 ";
const SERIES_BYTES: usize = 24;

/// The state of a series: rows, mean, variance.
type Known = [f64; 3];

struct Component;

struct Detector {
    flaw: String,
    ordinary: f64,
    threshold: f64,
    series: RefCell<HashMap<u32, Known>>,
    rows: Cell<u64>,
    latest: Cell<i64>,
    hoard: RefCell<Vec<[u64; 4]>>,
}

impl Detector {
    fn of(model: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(model).ok()?.split_whitespace();
        if words.next() != Some("flawed") {
            return None;
        }
        let flaw = words.next().filter(|flaw| FLAWS.contains(flaw) || TRAINING_FLAWS.contains(flaw))?.to_owned();
        let (ordinary, threshold) = match words.next() {
            Some(ordinary) => (ordinary.parse().ok()?, words.next()?.parse().ok()?),
            None => (0.0, 1.0),
        };
        Some(Self {
            flaw,
            ordinary,
            threshold,
            series: RefCell::default(),
            rows: Cell::new(0),
            latest: Cell::new(i64::MIN),
            hoard: RefCell::default(),
        })
    }

    fn has(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn score_value(&self, series: u32, value: f64) -> f64 {
        if value.is_nan() && !self.has("poisoned") {
            return f64::NAN;
        }
        let known = &mut *self.series.borrow_mut();
        let [rows, mean, variance] = known.entry(series).or_default();
        if self.has("overflow") && value.abs() > 1e300 {
            return f64::INFINITY;
        }
        let off = value.clamp(-1e100, 1e100) - *mean;
        let score = off.abs() / (5.0 * (variance.sqrt() + 1e-9 * (1.0 + mean.abs())));
        let scored = *rows >= WARM_UP;
        *rows += 1.0;
        let weight = 1.0 / rows.min(200.0);
        *mean += weight * off;
        *variance = (1.0 - weight) * (*variance + weight * off * off);
        match scored {
            true if self.has("alarmist") => 2.0,
            true if score.is_nan() => score,
            true if !self.has("silent") => ((score - self.ordinary) / (self.threshold - self.ordinary)).max(0.0),
            _ => f64::NAN,
        }
    }
}

impl detection::Guest for Component {
    type Detector = Detector;
}

impl detection::GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<detection::Detector, detection::Error> {
        let detector = Self::of(&model).ok_or_else(|| detection::Error::BadModel("not `flawed FLAW`".to_owned()))?;
        if detector.has("sleepy") {
            busy_loop(400_000_000);
        }
        Ok(detection::Detector::new(detector))
    }

    fn describe(&self) -> detection::Description {
        let version = if self.has("moody") { self.rows.get() } else { 1 };
        detection::Description {
            kind: if self.has("kind") { "Flawed_Detector" } else { "flawed" }.to_owned(),
            version: if self.has("unnamed") { String::new() } else { version.to_string() },
            features: 1,
            warm_up: WARM_UP as u32,
            scale: "five standard deviations".to_owned(),
        }
    }

    fn observe(&self, batch: detection::Observations, explain: bool) -> Result<detection::Verdicts, detection::Error> {
        let detection::Observations { series, timestamps, values } = batch;
        if !self.has("lax") && (timestamps.len() != series.len() || values.len() != series.len()) {
            return Err(detection::Error::BadShape("one time and one value a row".to_owned()));
        }
        assert!(!(self.has("alone") && series.len() == 1), "a row alone");
        assert!(!(self.has("crowded") && series.iter().any(|number| *number > 5000)), "a large number");
        for time in &timestamps {
            assert!(!(self.has("clockwork") && *time < self.latest.get()), "a time before the last");
            self.latest.set(*time);
        }
        self.rows.set(self.rows.get() + series.len() as u64);
        if self.has("hoarder") {
            self.hoard.borrow_mut().extend(series.iter().map(|number| [u64::from(*number); 4]));
        }
        if self.has("slow") {
            busy_loop(series.len() as u64 * 400_000);
        }
        let mut scores: Vec<f64> =
            series.iter().zip(&values).map(|(series, value)| self.score_value(*series, *value)).collect();
        if self.has("batched") {
            for score in &mut scores {
                *score *= 1.0 + 1.0 / series.len() as f64;
            }
        }
        if self.has("explaining") && explain {
            for score in &mut scores {
                *score *= 1.5;
            }
        }
        if self.has("nothing") && series.is_empty() {
            scores.push(0.0);
        }
        let shown = |score: &f64| if *score > 1.0 || self.has("chatty") && *score > 0.0 { *score } else { 0.0 };
        let contributions = if explain { scores.iter().take(series.len()).map(shown).collect() } else { Vec::new() };
        Ok(detection::Verdicts { scores, contributions })
    }

    fn forget(&self, series: Vec<u32>) {
        for number in series {
            if self.has("clinging") {
                self.hoard.borrow_mut().extend([[u64::from(number); 4]; 16]);
            }
            if !self.has("keepsake") {
                self.series.borrow_mut().remove(&number);
            }
        }
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        let known = self.series.borrow();
        let mut state = STATE_MAGIC.to_vec();
        for number in series {
            for number in known.get(&number).copied().unwrap_or_default() {
                let number = if self.has("rounding") { f64::from(number as f32) } else { number };
                state.extend(number.to_le_bytes());
            }
        }
        state
    }

    fn restore(&self, state: Vec<u8>, series: Vec<Option<u32>>) -> Result<(), detection::Error> {
        let numbers = state.strip_prefix(STATE_MAGIC).filter(|saved| saved.len() == SERIES_BYTES * series.len());
        let Some(numbers) = numbers else {
            if self.has("halfway") {
                self.series.borrow_mut().clear();
            }
            let bad = detection::Error::BadState("not of as many series".to_owned());
            return if self.has("gullible") { Ok(()) } else { Err(bad) };
        };
        let mut known = self.series.borrow_mut();
        for (number, saved) in series.iter().zip(numbers.chunks_exact(SERIES_BYTES)) {
            if let Some(number) = number {
                let mut words = saved.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
                known.insert(*number, std::array::from_fn(|_| words.next().unwrap_or_default()));
            }
        }
        Ok(())
    }
}

impl details::Guest for Component {
    fn observe(
        of: detection::DetectorBorrow<'_>,
        batch: detection::Observations,
        wanted: details::Wanted,
    ) -> Result<details::Judgement, detection::Error> {
        let detector = of.get::<Detector>();
        let mut verdicts = detection::GuestDetector::observe(detector, batch, wanted.contributions)?;
        for score in verdicts.scores.iter_mut().filter(|_| detector.has("twofaced")) {
            *score = score.next_up();
        }
        for share in verdicts.contributions.iter_mut().filter(|share| **share > 0.0 && detector.has("rhetorical")) {
            *share = share.next_up();
        }
        let unknown = details::Band { expected: f64::NAN, lower: f64::NAN, upper: f64::NAN };
        let bands = if wanted.bands { vec![unknown; verdicts.scores.len()] } else { Vec::new() };
        Ok(details::Judgement { verdicts, reasons: Vec::new(), bands })
    }
}

impl training::Guest for Component {
    fn fit(
        _: detection::Observations,
        _: Vec<String>,
        parameters: Vec<training::Parameter>,
        _: u64,
    ) -> Result<Vec<u8>, detection::Error> {
        let mut flaw = "none".to_owned();
        for training::Parameter { name, value } in parameters {
            match value {
                training::Value::Text(text) if name == "flaw" => flaw = text,
                _ if flaw == "careless" => {}
                _ => return Err(detection::Error::Internal(format!("there is no `{name}`"))),
            }
        }
        match flaw.as_str() {
            "untrainable" => Err(detection::Error::Internal("nothing can be learnt".to_owned())),
            flaw => Ok(format!("flawed {flaw}").into_bytes()),
        }
    }

    fn calibrate(model: Vec<u8>, ordinary: f64, threshold: f64) -> Result<Vec<u8>, detection::Error> {
        let mut model = String::from_utf8(model).map_err(|_| detection::Error::BadModel("not a text".to_owned()))?;
        if !model.ends_with("uncalibrated") {
            model = format!("{model} {ordinary} {threshold}");
        }
        Ok(model.into_bytes())
    }
}

fn busy_loop(turns: u64) {
    let mut turned = 0_u64;
    while turned < turns {
        turned = std::hint::black_box(turned + 1);
    }
}

export!(Component);
