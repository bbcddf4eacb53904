//! A detector that misbehaves as its model tells it to: the host must survive each way.
//!
//! The model is a text of the form `ATTACK` or `ATTACK N`: behave well for `N` batches, then attack, in every batch.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

use std::cell::Cell;

use exports::qualm::detector::detection;

wit_bindgen::generate!({ path: "../../wit", world: "plugin" });

struct Component;

struct Detector {
    attack: String,
    /// Batches until the attack.
    patience: Cell<u64>,
}

impl detection::Guest for Component {
    type Detector = Detector;
}

impl detection::GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<detection::Detector, detection::Error> {
        let model = String::from_utf8(model).map_err(|_| detection::Error::BadModel("not a text".to_owned()))?;
        let (attack, patience) = model.split_once(' ').unwrap_or((&model, "0"));
        let patience = patience.parse().map_err(|_| detection::Error::BadModel(format!("not a number: {patience}")))?;
        match attack {
            "open-trap" => trap(),
            "open-loop" => spin(),
            "open-error" => return Err(detection::Error::BadModel("e".repeat(32 << 20))),
            _ => {}
        }
        let detector = Self { attack: attack.to_owned(), patience: Cell::new(patience) };
        Ok(detection::Detector::new(detector))
    }

    fn describe(&self) -> detection::Description {
        let features = if self.attack == "features" { 7 } else { 1 };
        detection::Description {
            kind: "hostile".to_owned(),
            version: "1".to_owned(),
            features,
            warm_up: 0,
            scale: "none".to_owned(),
        }
    }

    fn observe(&self, batch: detection::Observations, _: bool) -> Result<detection::Verdicts, detection::Error> {
        let rows = batch.series.len();
        let mut scores: Vec<f64> = batch.values.iter().map(|value| value.abs()).collect();
        if self.attack == "trap-at-random" {
            // A guest has no randomness of its own; the batch decides.
            let time = batch.timestamps.first().copied().unwrap_or_default() as u64;
            if (time.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).is_multiple_of(8) {
                trap();
            }
        } else if self.patience.get() > 0 {
            self.patience.set(self.patience.get() - 1);
        } else {
            match self.attack.as_str() {
                "loop" => spin(),
                "memory" => hoard(),
                "stack" => {
                    descend(0);
                }
                "trap" => trap(),
                "short" => drop(scores.pop()),
                "long" => scores.push(0.0),
                "none" => scores.clear(),
                "many" => scores = vec![0.0; rows + (1 << 20)],
                "nan" => scores.fill(f64::NAN),
                "infinite" => scores.fill(f64::INFINITY),
                "negative" => scores.fill(-1.0),
                "error" => return Err(detection::Error::Internal("e".repeat(32 << 20))),
                "control" => return Err(detection::Error::Internal("line\nE! forged\u{1b}[2J\u{7}".to_owned())),
                _ => {}
            }
        }
        Ok(detection::Verdicts { scores, contributions: Vec::new() })
    }

    fn forget(&self, _: Vec<u32>) {
        match self.attack.as_str() {
            "forget-trap" => trap(),
            "forget-loop" => spin(),
            _ => {}
        }
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        match self.attack.as_str() {
            "save-trap" => trap(),
            "save-loop" => spin(),
            "save-memory" => hoard(),
            _ => series.iter().flat_map(|number| number.to_le_bytes()).collect(),
        }
    }

    fn restore(&self, _: Vec<u8>, _: Vec<Option<u32>>) -> Result<(), detection::Error> {
        match self.attack.as_str() {
            "restore-trap" => trap(),
            "restore-loop" => spin(),
            "restore-error" => Err(detection::Error::BadState("never mine".to_owned())),
            _ => Ok(()),
        }
    }
}

fn trap() -> ! {
    panic!("on request")
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "the attack")]
fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    descend(depth + 1).wrapping_add(frame[(depth % 64) as usize])
}

export!(Component);
