//! Answers that cannot be: too few, too many, and numbers that are none.

use crate::attack::Attack;
use crate::details::{Band, Judgement};
use crate::detection::{Description, Verdicts};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    find_details(name).or_else(|| find_verdicts(name))
}

fn find_details(name: &str) -> Option<Box<dyn Attack>> {
    let change: fn(&mut Judgement) = match name {
        "few-reasons" => |told| told.reasons.truncate(told.reasons.len() / 2 + 1),
        "many-reasons" => |told| told.reasons.extend_from_within(..),
        "few-bands" => |told| _ = told.bands.pop(),
        "many-bands" => |told| told.bands.push(band(-1.0, 1.0)),
        "crossed-bands" => |told| told.bands.fill(band(1.0, -1.0)),
        "infinite-bands" => |told| told.bands.fill(band(-1.0, f64::INFINITY)),
        _ => return None,
    };
    Some(Box::new(WrongDetails(change)))
}

fn band(lower: f64, upper: f64) -> Band {
    Band { expected: 0.0, lower, upper }
}

fn find_verdicts(name: &str) -> Option<Box<dyn Attack>> {
    let change: fn(&mut Verdicts) = match name {
        "short" => |told| told.scores.truncate(told.scores.len().saturating_sub(1)),
        "long" => |told| told.scores.push(0.0),
        "none" => |told| told.scores.clear(),
        "many" => |told| told.scores = vec![0.0; told.scores.len() + (1 << 20)],
        "nan" => |told| told.scores.fill(f64::NAN),
        "infinite" => |told| told.scores.fill(f64::INFINITY),
        "negative" => |told| told.scores.fill(-1.0),
        "contributions" => |told| told.contributions.push(0.0),
        "nan-contributions" => |told| told.contributions.fill(f64::NAN),
        "features" => return Some(Box::new(Features)),
        _ => return None,
    };
    Some(Box::new(Wrong(change)))
}

struct Wrong(fn(&mut Verdicts));

impl Attack for Wrong {
    fn verdicts(&self, mut honest: Verdicts) -> Verdicts {
        (self.0)(&mut honest);
        honest
    }
}

struct WrongDetails(fn(&mut Judgement));

impl Attack for WrongDetails {
    fn judgement(&self, mut honest: Judgement) -> Judgement {
        (self.0)(&mut honest);
        honest
    }
}

/// Is a detector of other rows than it is given.
struct Features;

impl Attack for Features {
    fn description(&self, honest: Description) -> Description {
        Description { features: 7, ..honest }
    }
}
