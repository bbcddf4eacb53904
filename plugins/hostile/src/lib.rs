//! A detector that misbehaves in the way that its model names: the host must survive each.
//!
//! The model is a text of the form `ATTACK` or `ATTACK N`: behave well for `N` batches, then attack, in every batch. There is
//! one module per kind of attack; attacks by the component file itself are in `command/tests/hostile/components.rs`.

#![expect(
    unsafe_code,
    missing_docs,
    clippy::same_length_and_capacity,
    reason = "the bindings that wit-bindgen generates"
)]

mod answers;
mod attack;
mod handles;
mod logs;
mod loops;
mod memory;
mod moods;
mod stack;
mod texts;
mod traps;

use std::cell::Cell;

use attack::{Attack, Call};
use exports::qualm::detector::{details, detection, siblings};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package qualm:hostile;
        world hostile {
            include qualm:detector/detailed-plugin@0.1.2;
            include qualm:detector/related-plugin@0.1.2;
        }
    ",
    world: "qualm:hostile/hostile",
    generate_all,
});

/// Returns the attack with this name, if there is one.
type Find = fn(&str) -> Option<Box<dyn Attack>>;

/// All kinds of attack.
const KINDS: [Find; 9] = [
    answers::find,
    handles::find,
    logs::find,
    loops::find,
    memory::find,
    moods::find,
    stack::find,
    texts::find,
    traps::find,
];

struct Component;

struct Detector {
    /// `None` for a detector that behaves.
    attack: Option<Box<dyn Attack>>,
    /// Batches until the attack.
    batches_before_attack: Cell<u64>,
}

impl Detector {
    fn act(&self, call: Call) {
        if let Some(attack) = &self.attack {
            attack.act(call);
        }
    }
}

impl Detector {
    /// The answer of `observe`, with its details.
    fn judge(
        &self,
        batch: &detection::Observations,
        wanted: details::Wanted,
    ) -> Result<details::Judgement, detection::Error> {
        let values = &batch.values;
        let honest = details::Judgement {
            verdicts: detection::Verdicts {
                scores: values.iter().map(|value| value.abs()).collect(),
                contributions: if wanted.contributions { values.clone() } else { Vec::new() },
            },
            reasons: values.iter().map(|_| details::Reason::OutsideBand).collect(),
            bands: if wanted.bands { vec![BAND; values.len()] } else { Vec::new() },
        };
        let Some(attack) = &self.attack else { return Ok(honest) };
        if self.batches_before_attack.get() > 0 {
            self.batches_before_attack.set(self.batches_before_attack.get() - 1);
            return Ok(honest);
        }
        attack.act(Call::Observe { time: batch.timestamps.first().copied().unwrap_or_default() });
        match attack.refusal(Call::OBSERVE) {
            Some(why) => Err(detection::Error::Internal(why)),
            None => Ok(attack.judgement(honest)),
        }
    }
}

/// Values from -1 to 1 are ordinary.
const BAND: details::Band = details::Band { expected: 0.0, lower: -1.0, upper: 1.0 };

impl details::Guest for Component {
    fn observe(
        of: detection::DetectorBorrow<'_>,
        batch: detection::Observations,
        wanted: details::Wanted,
    ) -> Result<details::Judgement, detection::Error> {
        of.get::<Detector>().judge(&batch, wanted)
    }
}

impl siblings::Guest for Component {
    fn relate(of: detection::DetectorBorrow<'_>, _: Vec<u32>, _: Vec<u64>) {
        of.get::<Detector>().act(Call::Relate);
    }
}

impl detection::Guest for Component {
    type Detector = Detector;
}

impl detection::GuestDetector for Detector {
    fn open(model: Vec<u8>) -> Result<detection::Detector, detection::Error> {
        let model = String::from_utf8(model).map_err(|_| detection::Error::BadModel("not a text".to_owned()))?;
        let (attack, batches_before_attack) = model.split_once(' ').unwrap_or((&model, "0"));
        let batches_before_attack = batches_before_attack
            .parse()
            .map_err(|_| detection::Error::BadModel(format!("not a number: {batches_before_attack}")))?;
        let detector = Self {
            attack: KINDS.iter().find_map(|find| find(attack)),
            batches_before_attack: Cell::new(batches_before_attack),
        };
        detector.act(Call::Open);
        if let Some(why) = detector.attack.as_ref().and_then(|attack| attack.refusal(Call::Open)) {
            return Err(detection::Error::BadModel(why));
        }
        Ok(detection::Detector::new(detector))
    }

    fn describe(&self) -> detection::Description {
        self.act(Call::Describe);
        let honest = detection::Description {
            kind: "hostile".to_owned(),
            version: "1".to_owned(),
            features: 1,
            warm_up: 0,
            scale: "none".to_owned(),
        };
        match &self.attack {
            Some(attack) => attack.description(honest),
            None => honest,
        }
    }

    fn observe(&self, batch: detection::Observations, explain: bool) -> Result<detection::Verdicts, detection::Error> {
        Ok(self.judge(&batch, details::Wanted { contributions: explain, bands: false })?.verdicts)
    }

    fn forget(&self, _: Vec<u32>) {
        self.act(Call::Forget);
    }

    fn save(&self, series: Vec<u32>) -> Vec<u8> {
        self.act(Call::Save);
        let honest = series.iter().flat_map(|number| number.to_le_bytes()).collect();
        match &self.attack {
            Some(attack) => attack.state(honest),
            None => honest,
        }
    }

    fn restore(&self, _: Vec<u8>, _: Vec<Option<u32>>) -> Result<(), detection::Error> {
        self.act(Call::Restore);
        let refusal = self.attack.as_ref().and_then(|attack| attack.refusal(Call::Restore));
        refusal.map_or(Ok(()), |why| Err(detection::Error::BadState(why)))
    }
}

export!(Component);
