//! The fields of `Tuning` by name.

use qualm_core::streaming::Tuning;

use crate::Failure;

/// Sets a field by `NAME=VALUE`.
pub(crate) fn set(tuning: &mut Tuning, assignment: &str) -> Result<(), Failure> {
    let (name, text) = assignment.split_once('=').ok_or_else(|| format!("`{assignment}` is not NAME=VALUE"))?;
    let value: f64 = text.parse().map_err(|_| format!("{name}: `{text}` is no number"))?;
    if let Some((name, index)) = name.split_once('.') {
        return element(tuning, name, index, value).ok_or_else(|| format!("there is no {name}.{index}").into());
    }
    match name {
        "jump_ewma_gain" => tuning.jump_ewma_gain = value,
        "jump_clip" => tuning.jump_clip = value,
        "scale_clip" => tuning.scale_clip = value,
        "residual_clip" => tuning.residual_clip = value as f32,
        "cluster_half_life" => tuning.cluster_half_life = value as f32,
        "prior_exponent" => tuning.prior_exponent = value,
        "prior_exponent_events" => tuning.prior_exponent_events = value,
        "prior_rows" => tuning.prior_rows = value,
        "min_event_rows" => tuning.min_event_rows = value as f32,
        "prior_event_share" => tuning.prior_event_share = value,
        "threshold_per_log_step" => tuning.threshold_per_log_step = value,
        "threshold_offset" => tuning.threshold_offset = value,
        "report_threshold_step" => tuning.report_threshold_step = value,
        "early_threshold_share" => tuning.early_threshold_share = value,
        "early_threshold_rows" => tuning.early_threshold_rows = value,
        "repeat_factor" => tuning.repeat_factor = value,
        "reported_half_life" => tuning.reported_half_life = value as f32,
        "other_side_share" => tuning.other_side_share = value,
        "young_rows" => tuning.young_rows = value as f32,
        "novelty_unit" => tuning.novelty_unit = value,
        "novelty_octave" => tuning.novelty_octave = value as f32,
        "season_max_residual" => tuning.season_max_residual = value as f32,
        "season_days" => tuning.season_days = value as u8,
        "season_memory_days" => tuning.season_memory_days = value as f32,
        "season_min_scale" => tuning.season_min_scale = value,
        "min_scale_step_share" => tuning.min_scale_step_share = value,
        "incident_end_share" => tuning.incident_end_share = value,
        _ => return Err(format!("there is no constant `{name}`").into()),
    }
    Ok(())
}

fn element(tuning: &mut Tuning, name: &str, index: &str, value: f64) -> Option<()> {
    let index: usize = index.parse().ok()?;
    match name {
        "mean_rows" => *tuning.mean_rows.get_mut(index)? = value as f32,
        "check_weights" => *tuning.check_weights.get_mut(index)? = value,
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
        set(&mut tuning, "threshold_offset=0.5").unwrap();
        set(&mut tuning, "check_weights.4=0").unwrap();
        set(&mut tuning, "mean_rows.1=16").unwrap();
        let expected = Tuning {
            threshold_offset: 0.5,
            check_weights: [1.0, 1.0, 1.0, 1.2, 0.0],
            mean_rows: [4.0, 16.0],
            ..Tuning::SHIPPED
        };
        assert_eq!(tuning, expected);
        for wrong in [
            "threshold_offset",
            "threshold_offset=much",
            "threshold_offsets=1",
            "check_weights.6=0",
            "check_weights.x=0",
            "threshold_offset.0=1",
        ] {
            assert!(set(&mut tuning, wrong).is_err(), "{wrong}");
        }
    }
}
