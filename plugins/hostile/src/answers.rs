//! Answers that cannot be: too few, too many, and numbers that are none.

use crate::attack::Attack;
use crate::detection::{Description, Verdicts};

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
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

/// Is a detector of other rows than it is given.
struct Features;

impl Attack for Features {
    fn description(&self, honest: Description) -> Description {
        Description { features: 7, ..honest }
    }
}
