//! What a pod's metric does while it lives.

use std::ops::Range;

use crate::noise::Noise;

/// What is measured of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A share of a processor: noise that lasts for some rows.
    Cpu,
    /// Bytes: fills up in the first minutes, then wanders.
    Memory,
    /// Milliseconds: lognormal.
    Latency,
    /// Requests in a row's time: Poisson.
    Requests,
    /// Errors in a row's time: mostly none.
    Errors,
    /// All requests so far.
    Counter,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::Latency, Self::Requests, Self::Errors, Self::Counter];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Counter => "counter",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Three times the values.
    Shift,
    /// None at all.
    Drop,
    /// Some rows of eight times the values.
    Spike,
}

impl Trouble {
    pub(crate) const ALL: [Self; 3] = [Self::Shift, Self::Drop, Self::Spike];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shift => "three times the values",
            Self::Drop => "nothing at all",
            Self::Spike => "eight times, 2 to 4 rows",
        }
    }
}

/// An incident, and the rows in which it is.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) trouble: Trouble,
    pub(crate) rows: Range<usize>,
}

/// One pod: its own level and scale, and how long it lives.
#[derive(Debug)]
pub(crate) struct Pod {
    kind: Kind,
    noise: Noise,
    level: f64,
    spread: f64,
    /// Of what lasts, and of what wanders.
    lasting: f64,
    wander: f64,
    /// Rows until it has filled up.
    ramp: f64,
    count: f64,
    /// Rows so far, and in all.
    pub(crate) row: usize,
    pub(crate) rows: usize,
    pub(crate) incident: Option<Incident>,
}

impl Pod {
    /// A pod that lives for so many rows of so many seconds. One in a hundred has an incident.
    pub(crate) fn new(kind: Kind, rows: usize, step: f64, mut noise: Noise) -> Self {
        let incident = (noise.uniform() < 0.01).then(|| {
            let troubles = if kind == Kind::Errors { &[Trouble::Shift, Trouble::Spike][..] } else { &Trouble::ALL };
            let trouble = troubles[noise.between(0.0, troubles.len() as f64) as usize];
            let long = if trouble == Trouble::Spike { noise.between(2.0, 5.0) } else { noise.between(5.0, 30.0) };
            // Half of them in the first hundred rows.
            let last = if noise.uniform() < 0.5 { (rows - 2).min(100) } else { rows - 2 };
            let from = noise.between(10.0, last as f64) as usize;
            Incident { trouble, rows: from..(from + long as usize).min(rows) }
        });
        let per_row = if kind == Kind::Errors { 0.02 } else { 2.0 };
        let level = match kind {
            Kind::Cpu => 30.0 * noise.factor(0.6),
            Kind::Memory => 4e8 * noise.factor(0.5),
            Kind::Latency => 50.0 * noise.factor(0.5),
            Kind::Requests | Kind::Counter | Kind::Errors => step * per_row * noise.factor(0.8),
        };
        let spread = match kind {
            Kind::Cpu => 0.12,
            Kind::Memory => 0.01,
            Kind::Latency => 0.4,
            _ => 0.0,
        } * noise.factor(0.3);
        let ramp = noise.between(60.0, 300.0) / step;
        Self { kind, level, spread, lasting: 0.0, wander: 0.0, ramp, count: 0.0, row: 0, rows, incident, noise }
    }

    /// The next value.
    pub(crate) fn next(&mut self) -> f64 {
        let Self { noise, incident, row, .. } = self;
        let now = incident.as_ref().filter(|incident| incident.rows.contains(row));
        let factor = match (now.map(|incident| incident.trouble), self.kind) {
            (None, _) => 1.0,
            (Some(Trouble::Drop), _) => 0.0,
            (Some(Trouble::Shift), Kind::Errors) => 50.0,
            (Some(Trouble::Spike), Kind::Errors) => 200.0,
            (Some(Trouble::Shift), _) => 3.0,
            (Some(Trouble::Spike), _) => 8.0,
        };
        let level = self.level * factor;
        self.lasting = 0.6 * self.lasting + 0.8 * noise.gaussian();
        self.wander += 0.1 * noise.gaussian() - 0.01 * self.wander;
        *row += 1;
        match self.kind {
            Kind::Cpu => level * (1.0 + self.spread * self.lasting).max(0.02),
            Kind::Memory => {
                let full = 1.0 - 0.7 * libm::exp(-2.0 * self.row as f64 / self.ramp);
                (level * full * (1.0 + self.spread * (0.5 * noise.gaussian() + self.wander))).round()
            }
            Kind::Latency => level * libm::exp(self.spread * noise.gaussian()),
            Kind::Requests => noise.poisson(level * (1.0 + 0.05 * self.lasting).max(0.0)),
            Kind::Errors => noise.poisson(level),
            Kind::Counter => {
                self.count += noise.poisson(level * (1.0 + 0.05 * self.lasting).max(0.0));
                self.count
            }
        }
    }
}
