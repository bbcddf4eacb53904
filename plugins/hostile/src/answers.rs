//! Invalid answers: too few or too many results, and invalid numbers.

use crate::attack::Attack;
use crate::details::{Band, Judgement};
use crate::detection::{Description, Verdicts};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    find_details(name).or_else(|| find_verdicts(name))
}

fn find_details(name: &str) -> Option<Box<dyn Attack>> {
    let change: fn(&mut Judgement) = match name {
        "few-reasons" => |answer| answer.reasons.truncate(answer.reasons.len() / 2 + 1),
        "many-reasons" => |answer| answer.reasons.extend_from_within(..),
        "few-bands" => |answer| _ = answer.bands.pop(),
        "many-bands" => |answer| answer.bands.push(band(-1.0, 1.0)),
        "crossed-bands" => |answer| answer.bands.fill(band(1.0, -1.0)),
        "infinite-bands" => |answer| answer.bands.fill(band(-1.0, f64::INFINITY)),
        _ => return None,
    };
    Some(Box::new(WrongDetails(change)))
}

fn band(lower: f64, upper: f64) -> Band {
    Band { expected: 0.0, lower, upper }
}

fn find_verdicts(name: &str) -> Option<Box<dyn Attack>> {
    let change: fn(&mut Verdicts) = match name {
        "short" => |answer| answer.scores.truncate(answer.scores.len().saturating_sub(1)),
        "long" => |answer| answer.scores.push(0.0),
        "none" => |answer| answer.scores.clear(),
        "many" => |answer| answer.scores = vec![0.0; answer.scores.len() + (1 << 20)],
        "nan" => |answer| answer.scores.fill(f64::NAN),
        "infinite" => |answer| answer.scores.fill(f64::INFINITY),
        "negative" => |answer| answer.scores.fill(-1.0),
        "contributions" => |answer| answer.contributions.push(0.0),
        "nan-contributions" => |answer| answer.contributions.fill(f64::NAN),
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

/// Describes itself with a wrong number of features.
struct Features;

impl Attack for Features {
    fn description(&self, honest: Description) -> Description {
        Description { features: 7, ..honest }
    }
}
