//! The way of a row to the kernel: scaled, then less what its series has been like lately, then whitened.
//!
//! Each stage but the first may be left out. Training rows take the same way as those that are scored, series by series.

use super::baseline::{self, Baseline};
use super::prepare::Preparation;
use super::state::State;
use super::whiten::Whitening;
use super::{FitError, Rows, Settings};
use crate::model::{Model, Writer};
use qualm_contract::Error;

/// The stages, fitted.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) preparation: Preparation,
    pub(super) baseline: Option<Baseline>,
    whitening: Option<Whitening>,
}

/// Rows on their way: what each stage made of them, row after row.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) scaled: Vec<f64>,
    changes: Vec<f64>,
    white: Vec<f64>,
}

impl Front {
    /// One that scales and no more.
    pub(super) fn plain(preparation: Preparation) -> Self {
        Self { preparation, baseline: None, whitening: None }
    }

    /// Learns from rows; also returns what becomes of these.
    pub(super) fn fit(rows: Rows<'_>, settings: &Settings) -> Result<(Self, Stages), FitError> {
        let preparation = Preparation::fit(rows, settings.scaling, settings.clip)?;
        if let Some(span) = settings.baseline
            && !(1.0..=baseline::MOST_SPAN).contains(&span)
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
        this.subtract(rows.with_series(), &mut this.state(), &mut stages);
        if let Some(share) = settings.whiten {
            let changes = Rows::new(this.unwhitened(&stages), rows.features());
            this.whitening = Some(Whitening::fit(changes, share)?);
        }
        this.whiten(&mut stages);
        Ok((this, stages))
    }

    /// What the stages remember of series: nothing as yet.
    pub(super) fn state(&self) -> State {
        State::new(self.preparation.features(), self.baseline.is_some())
    }

    /// Takes rows through all stages, each with its series.
    pub(super) fn run<'a>(&self, rows: impl Iterator<Item = (u32, &'a [f64])>, state: &mut State, stages: &mut Stages) {
        self.subtract(rows, state, stages);
        self.whiten(stages);
    }

    fn subtract<'a>(&self, rows: impl Iterator<Item = (u32, &'a [f64])>, state: &mut State, stages: &mut Stages) {
        let Stages { scaled, changes, .. } = stages;
        scaled.clear();
        changes.clear();
        for (series, row) in rows {
            let start = scaled.len();
            self.preparation.prepare(row, scaled);
            if let Some(baseline) = &self.baseline {
                baseline.subtract(row, state.series(series).means, &mut scaled[start..], changes);
            }
        }
    }

    fn whiten(&self, stages: &mut Stages) {
        if let Some(whitening) = &self.whitening {
            let mut white = std::mem::take(&mut stages.white);
            white.clear();
            whitening.apply(self.unwhitened(stages), &mut white);
            stages.white = white;
        }
    }

    fn unwhitened<'a>(&self, stages: &'a Stages) -> &'a [f64] {
        if self.baseline.is_some() { &stages.changes } else { &stages.scaled }
    }

    /// What the kernel is given.
    pub(super) fn rows<'a>(&self, stages: &'a Stages) -> &'a [f64] {
        if self.whitening.is_some() { &stages.white } else { self.unwhitened(stages) }
    }

    pub(super) fn write(&self, model: &mut Writer) {
        self.preparation.write(model);
        model.set("baseline", self.baseline.as_ref().map_or(0.0, Baseline::span));
        model.set("whitened", self.whitening.is_some());
        if let Some(whitening) = &self.whitening {
            whitening.write("whitening", model);
        }
    }

    pub(super) fn read(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let preparation = Preparation::read(model, features)?;
        let span = model.finite("baseline")?;
        if span != 0.0 && !(1.0..=baseline::MOST_SPAN).contains(&span) {
            return Err(Error::BadModel(format!("its `baseline` of {span} rows is not 0, or between 1 and a million")));
        }
        let baseline = (span != 0.0).then(|| Baseline::new(span, &preparation));
        let whitened: bool = model.number("whitened")?;
        let whitening = whitened.then(|| Whitening::read("whitening", model, features)).transpose()?;
        Ok(Self { preparation, baseline, whitening })
    }
}
