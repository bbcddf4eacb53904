//! The stages before the kernel: scaling, subtraction of recent means, whitening.
//!
//! Each stage but the first may be omitted. Training rows pass the same stages as scored ones, by series.

use ndarray::ArrayView2;
use qualm_contract::Error;

use super::baseline::{self, Baseline};
use super::prepare::Preparation;
use super::state::State;
use super::whiten::{self, Whitening};
use super::{FitError, Rows, Settings};
use crate::linalg::as_matrix;
use crate::model::{Model, Writer};

/// The stages, fitted.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) preparation: Preparation,
    pub(super) baseline: Option<Baseline>,
    whitening: Option<Whitening>,
}

/// The rows after each stage, row by row.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// Scaled, and what recent means left of it.
    plain: Vec<f64>,
    white: Vec<f64>,
    buffers: whiten::Buffers,
}

impl Front {
    /// A front that only scales.
    pub(super) fn plain(preparation: Preparation) -> Self {
        Self { preparation, baseline: None, whitening: None }
    }

    /// Fits the stages to rows, and returns the rows after each stage.
    pub(super) fn fit(rows: Rows<'_>, settings: &Settings) -> Result<(Self, Stages), FitError> {
        let preparation = Preparation::fit(rows, settings.scaling, settings.clip)?;
        if let Some(span) = settings.baseline
            && !(1.0..=baseline::MAX_SPAN).contains(&span)
        {
            return Err(FitError(format!("`baseline` is {span} rows; it must be between 1 and a million")));
        }
        if let Some(share) = settings.whiten
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(FitError(format!("`whiten` is {share}; it must lie between 0 and 1")));
        }
        let baseline = settings.baseline.map(|span| Baseline::new(span, &preparation));
        let mut this = Self { preparation, baseline, whitening: None };
        let mut stages = Stages::default();
        this.subtract(rows.with_series(), &mut this.state(1), &mut stages);
        if let Some(share) = settings.whiten {
            this.whitening = Some(Whitening::fit(this.matrix(&stages.plain), share)?);
        }
        this.whiten(&mut stages);
        Ok((this, stages))
    }

    /// The state of the stages, without series, where a kernel spans so many rows.
    pub(super) fn state(&self, span: usize) -> State {
        State::new(self.preparation.features(), self.baseline.is_some(), span)
    }

    /// Passes rows, each with its series, through all stages.
    pub(super) fn run<'a>(&self, rows: impl Iterator<Item = (u32, &'a [f64])>, state: &mut State, stages: &mut Stages) {
        self.subtract(rows, state, stages);
        self.whiten(stages);
    }

    fn subtract<'a>(&self, rows: impl Iterator<Item = (u32, &'a [f64])>, state: &mut State, stages: &mut Stages) {
        stages.plain.clear();
        for (series, row) in rows {
            match &self.baseline {
                Some(baseline) => baseline.subtract(row, state.series(series).means, &mut stages.plain),
                None => self.preparation.prepare(row, &mut stages.plain),
            }
        }
    }

    fn whiten(&self, stages: &mut Stages) {
        if let Some(whitening) = &self.whitening {
            let mut white = std::mem::take(&mut stages.white);
            white.clear();
            whitening.apply(self.matrix(&stages.plain), &mut stages.buffers, &mut white);
            stages.white = white;
        }
    }

    /// The rows for the kernel.
    pub(super) fn rows<'a>(&self, stages: &'a Stages) -> ArrayView2<'a, f64> {
        self.matrix(if self.whitening.is_some() { &stages.white } else { &stages.plain })
    }

    fn matrix<'a>(&self, rows: &'a [f64]) -> ArrayView2<'a, f64> {
        as_matrix(rows, self.preparation.features())
    }

    pub(super) fn write_model(&self, model: &mut Writer) {
        self.preparation.write_model(model);
        model.set("baseline", self.baseline.as_ref().map_or(0.0, Baseline::span));
        model.set("whitened", self.whitening.is_some());
        if let Some(whitening) = &self.whitening {
            whitening.write_model("whitening", model);
        }
    }

    pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let preparation = Preparation::read_model(model, features)?;
        let span = model.finite("baseline")?;
        if span != 0.0 && !(1.0..=baseline::MAX_SPAN).contains(&span) {
            return Err(Error::BadModel(format!("its `baseline` of {span} rows is not 0, or between 1 and a million")));
        }
        let baseline = (span != 0.0).then(|| Baseline::new(span, &preparation));
        let whitened: bool = model.number("whitened")?;
        let whitening = whitened.then(|| Whitening::read_model("whitening", model, features)).transpose()?;
        Ok(Self { preparation, baseline, whitening })
    }
}
