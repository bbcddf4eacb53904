//! The fields of `Tuning` by name.

use qualm_core::streaming::Tuning;

use crate::Failure;

/// Changes what `NAME=VALUE` says.
pub(crate) fn set(tuning: &mut Tuning, assignment: &str) -> Result<(), Failure> {
    let (name, text) = assignment.split_once('=').ok_or_else(|| format!("`{assignment}` is not NAME=VALUE"))?;
    let value: f64 = text.parse().map_err(|_| format!("{name}: `{text}` is no number"))?;
    if let Some((name, index)) = name.split_once('.') {
        return element(tuning, name, index, value).ok_or_else(|| format!("there is no {name}.{index}").into());
    }
    match name {
        "quick" => tuning.quick = value,
        "jump_limit" => tuning.jump_limit = value,
        "scale_limit" => tuning.scale_limit = value,
        "rest_limit" => tuning.rest_limit = value as f32,
        "hold" => tuning.hold = value as f32,
        "exponent" => tuning.exponent = value,
        "exponent_weight" => tuning.exponent_weight = value,
        "prior_rows" => tuning.prior_rows = value,
        "least_rows" => tuning.least_rows = value as f32,
        "prior_share" => tuning.prior_share = value,
        "by_time" => tuning.by_time = value,
        "slack" => tuning.slack = value,
        "learned" => tuning.learned = value,
        "early" => tuning.early = value,
        "early_rows" => tuning.early_rows = value,
        "again" => tuning.again = value,
        "reported_half" => tuning.reported_half = value as f32,
        "across" => tuning.across = value,
        "young" => tuning.young = value as f32,
        "novel_unit" => tuning.novel_unit = value,
        "novel_octave" => tuning.novel_octave = value as f32,
        "season_left" => tuning.season_left = value as f32,
        "season_days" => tuning.season_days = value as u8,
        "season_memory" => tuning.season_memory = value as f32,
        "season_floor" => tuning.season_floor = value,
        "resolution" => tuning.resolution = value,
        "ends" => tuning.ends = value,
        _ => return Err(format!("there is no constant `{name}`").into()),
    }
    Ok(())
}

fn element(tuning: &mut Tuning, name: &str, index: &str, value: f64) -> Option<()> {
    let index: usize = index.parse().ok()?;
    match name {
        "means" => *tuning.means.get_mut(index)? = value as f32,
        "weights" => *tuning.weights.get_mut(index)? = value,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_refused() {
        let mut tuning = Tuning::SHIPPED;
        set(&mut tuning, "slack=0.5").unwrap();
        set(&mut tuning, "weights.4=0").unwrap();
        set(&mut tuning, "means.1=16").unwrap();
        let expected = Tuning { slack: 0.5, weights: [1.0, 1.0, 1.0, 1.2, 0.0], means: [4.0, 16.0], ..Tuning::SHIPPED };
        assert_eq!(tuning, expected);
        for wrong in ["slack", "slack=much", "slacks=1", "weights.6=0", "weights.x=0", "slack.0=1"] {
            assert!(set(&mut tuning, wrong).is_err(), "{wrong}");
        }
    }
}
