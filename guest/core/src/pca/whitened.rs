//! The index of whitened rows: the mean of their squares.
//!
//! > Q(w) = (1/d)·Σⱼ min(wⱼ², c²)
//!
//! Whitening with a ridge ([`crate::trained`]) is a soft choice of components: the weight of a direction changes
//! smoothly from that of T² to that of the squared prediction error. The clip limits the effect of one feature. Unlike the raw
//! score of a [`super::form`], this one is a square, so that extreme rows count more when it is averaged over rows.

use ndarray::ArrayView2;
use qualm_contract::Error;

use super::NO_CLIP;
use crate::linalg::as_rows;
use crate::model::{Model, Writer};
use crate::trained::Kernel;
use crate::trained::whiten::{mean_square, shares};

#[derive(Debug)]
pub(super) struct Whitened {
    clip: f64,
}

impl Whitened {
    pub(super) fn new(clip: Option<f64>) -> Self {
        Self { clip: clip.unwrap_or(NO_CLIP) }
    }

    pub(super) fn read_model(model: &Model<'_>) -> Result<Self, Error> {
        let clip = model.finite("clip")?;
        if clip > 0.0 && clip <= NO_CLIP {
            return Ok(Self { clip });
        }
        Err(Error::BadModel(format!("its `clip` of {clip} is not above 0 and up to {NO_CLIP:e}")))
    }
}

impl Kernel for Whitened {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        raw.extend(as_rows(rows).map(|row| mean_square(row, self.clip)));
    }

    /// Contributions are not negative, and add up to the raw score but for rounding: they are its terms.
    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        shares(row, self.clip, contributions);
    }

    fn write_model(&self, model: &mut Writer) {
        model.set("index", "whitened").set("clip", format_args!("{:e}", self.clip));
    }
}
