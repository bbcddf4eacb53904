//! One detector's part of the pipeline: what it wants, the series that it knows, the rows that wait for it.

use qualm_contract::{BatchScorer, Verdicts};

use crate::anomaly_rate::{AnomalyRate, Census};
use crate::incident::{Finding, Incidents, Row};
use crate::join::{self, Joiner};
use crate::rows::Rows;
use crate::select::Selector;
use crate::series::{Limits, SeriesTable};
use crate::snapshot::SeriesSnapshot;
use crate::suppress::Suppression;
use crate::vector::Shape;

/// One detector's part of the pipeline.
#[derive(Debug)]
pub struct Lane {
    pub(crate) selector: Selector,
    pub(crate) wants: Wants,
    pub(crate) series: SeriesTable,
    pub(crate) rows: Rows,
    pub(crate) verdicts: Verdicts,
    /// What became of the rows of the run.
    pub(crate) findings: Vec<Finding>,
    /// Whose anomaly rate is told, if that is asked for; of fields alone.
    pub(crate) census: Option<Box<Census>>,
    incidents: Incidents,
    gone: Vec<u32>,
}

/// The group of all vectors of a detector: they are made of the same features.
const VECTORS: u64 = 0;

/// What a detector's rows are made of.
#[derive(Debug)]
pub(crate) enum Wants {
    /// Each field is a series, each of its values a row. Where each row came from.
    Fields(Vec<Origin>),
    /// Features of an entity, joined across events.
    Vectors(Box<Vectors>),
}

/// What is known of a lane of vectors.
#[derive(Debug)]
pub(crate) struct Vectors {
    pub(crate) joiner: Joiner,
    /// The detector's name, as a tag's value in a line.
    pub(crate) name: Vec<u8>,
}

/// Where a row of one field came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// Which of the run's events that are to be scored.
    pub(crate) event: u32,
    /// Where the field's key starts in the input.
    pub(crate) key: u32,
    pub(crate) key_len: u32,
}

impl Lane {
    /// A lane whose detector scores each selected field by itself.
    #[must_use]
    pub fn new(selector: Selector, limits: Limits) -> Self {
        Self {
            selector,
            wants: Wants::Fields(Vec::new()),
            series: SeriesTable::new(limits),
            rows: Rows::default(),
            verdicts: Verdicts::default(),
            findings: Vec::new(),
            census: None,
            incidents: Incidents::default(),
            gone: Vec::new(),
        }
    }

    /// A lane whose detector, called `name`, scores vectors joined from the selected events. It only looks on: other
    /// detectors score the events' fields as though it were not there.
    #[must_use]
    pub fn vectors(name: &str, shape: Shape, selector: Selector, limits: Limits) -> Self {
        let rows = Rows::new(shape.features.len().max(1)); // none at all before there is a model
        let wants = Wants::Vectors(Box::new(Vectors { joiner: Joiner::new(shape), name: as_tag(name) }));
        Self { wants, rows, ..Self::new(selector, limits) }
    }

    /// The same lane with a rule for which incidents are reported.
    #[must_use]
    pub fn suppress(mut self, rule: Suppression) -> Self {
        self.set_suppression(rule);
        self
    }

    /// The same lane, whose detector is called `name`, with the anomaly rates of its entities told. A lane of vectors has
    /// none: each of its entities is one series.
    #[must_use]
    pub fn tell_rates(mut self, name: &str, rule: AnomalyRate) -> Self {
        if let Wants::Fields(_) = self.wants {
            self.census = Some(Box::new(Census::new(as_tag(name), rule)));
        }
        self
    }

    /// The same lane, with bands shown or not: of rows of one value alone, since a band is of one.
    #[must_use]
    pub fn show_bands(mut self, shown: bool) -> Self {
        self.rows.bands = shown && self.rows.features() == 1;
        self
    }

    /// The same lane, whose detector is told which series are siblings, or not.
    #[must_use]
    pub fn relate(mut self, related: bool) -> Self {
        self.rows.related = related;
        self
    }

    /// What its vectors are made of; none where it scores fields.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        match &self.wants {
            Wants::Fields(_) => None,
            Wants::Vectors(vectors) => Some(vectors.joiner.shape()),
        }
    }

    /// Reports incidents by this rule from now on, as though there had been none yet, unless it is the one in force.
    pub fn set_suppression(&mut self, rule: Suppression) {
        if self.incidents.rule() != rule {
            self.incidents = Incidents::new(rule);
        }
        // What is expected of several values at once is not one value's side or distance.
        self.rows.explain = rule.needs_deviation() && self.rows.features() == 1;
    }

    /// Which incidents it reports.
    #[must_use]
    pub fn suppression(&self) -> Suppression {
        self.incidents.rule()
    }

    /// The tags of an entity whose vectors it joins, as they stand in a line: `,host=a`.
    #[must_use]
    pub fn tags(&self, series: u32) -> &[u8] {
        match &self.wants {
            Wants::Fields(_) => &[],
            Wants::Vectors(vectors) => vectors.joiner.tags(series),
        }
    }

    /// The vectors that it has joined.
    #[must_use]
    pub fn joined(&self) -> join::Counts {
        match &self.wants {
            Wants::Fields(_) => join::Counts::default(),
            Wants::Vectors(vectors) => vectors.joiner.counts(),
        }
    }

    /// The series that it knows.
    #[must_use]
    pub fn series(&self) -> &SeriesTable {
        &self.series
    }

    /// The series that it knows, to restore those of an earlier run.
    pub fn series_mut(&mut self) -> &mut SeriesTable {
        &mut self.series
    }

    /// What is to be kept of its incidents over a restart.
    #[must_use]
    pub fn keep(&self) -> SeriesSnapshot {
        self.incidents.keep(&self.series)
    }

    /// Goes on with incidents of series that are known again.
    pub fn restore(&mut self, snapshot: &SeriesSnapshot) {
        self.incidents.restore(snapshot, &self.series);
    }

    /// Whether events with this head may bring rows.
    pub(crate) fn wants_event(&self, head: &[u8]) -> bool {
        self.selector.wants_event(head)
            && match &self.wants {
                Wants::Fields(_) => true,
                Wants::Vectors(vectors) => vectors.joiner.wants_event(head),
            }
    }

    /// Whether a field of such an event is a row by itself. A boolean is one where it is asked for by name.
    pub(crate) fn wants_field(&self, key: &[u8], boolean: bool) -> bool {
        let asked = !boolean || !self.selector.include_fields.is_empty();
        asked && matches!(self.wants, Wants::Fields(_)) && self.selector.wants_field(key)
    }

    /// Where in the input the key of a row's field lies, and its length. A vector has none.
    pub(crate) fn key(&self, row: usize) -> (u32, u32) {
        match &self.wants {
            Wants::Fields(origins) => origins.get(row).map_or((0, 0), |origin| (origin.key, origin.key_len)),
            Wants::Vectors(_) => (0, 0),
        }
    }

    pub(crate) fn set_seed(&mut self, seed: u64) {
        if let Wants::Vectors(vectors) = &mut self.wants {
            vectors.joiner.set_seed(seed);
        }
        if let Some(census) = &mut self.census {
            census.set_seed(seed);
        }
    }

    /// Begins a run at this time.
    pub(crate) fn begin(&mut self, now: i64) {
        self.series.pass(now);
        self.rows.clear();
        self.verdicts.clear();
        self.findings.clear();
        if let Some(census) = &mut self.census {
            census.begin();
        }
        match &mut self.wants {
            Wants::Fields(origins) => origins.clear(),
            Wants::Vectors(vectors) => vectors.joiner.emissions.clear(),
        }
    }

    /// Has the run's rows scored.
    pub(crate) fn score(&mut self, scorer: &mut impl BatchScorer) {
        let Self { rows, verdicts, series, gone, wants, .. } = self;
        if let (true, Wants::Vectors(_)) = (rows.related, wants) {
            rows.groups.resize(rows.len(), VECTORS);
        }
        if !rows.is_empty() {
            scorer.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
            // Whatever a scorer could not score has no score; it counts and reports why.
            let _failed = scorer.score_batch(rows.batch(), rows.wanted(), verdicts);
            verdicts.pad_unscored(rows.len(), rows.features());
        }
        series.retire(rows.len(), gone);
    }

    /// Finds what a row of this run is, the next one in their order.
    pub(crate) fn judge(&mut self, row: usize) -> Finding {
        let Self { rows, verdicts, incidents, findings, .. } = self;
        let alone = |of: &[f64]| if rows.features() == 1 { of.get(row).copied() } else { None };
        let finding = incidents.judge(Row {
            series: rows.series[row],
            time: rows.times[row],
            score: verdicts.scores[row],
            value: alone(&rows.values),
            deviation: alone(&verdicts.contributions),
        });
        findings.push(finding);
        finding
    }

    /// The series that are gone, and whose detector has not been told yet.
    #[must_use]
    pub fn gone(&self) -> &[u32] {
        &self.gone
    }

    /// Tells the detector which series are gone, and returns how many.
    pub(crate) fn forget(&mut self, scorer: &mut impl BatchScorer) -> u64 {
        let Self { gone, incidents, wants, census, .. } = self;
        if gone.is_empty() {
            return 0;
        }
        // A scorer that cannot is of no further use: it scores nothing, and reports why.
        let _failed = scorer.forget_series(gone);
        incidents.forget(gone);
        if let Wants::Vectors(vectors) = wants {
            vectors.joiner.forget(gone);
        }
        if let Some(census) = census {
            census.forget(gone);
        }
        let count = gone.len() as u64;
        gone.clear();
        count
    }
}

/// A detector's name as a tag's value in a line.
fn as_tag(name: &str) -> Vec<u8> {
    let mut tag = Vec::new();
    crate::splice::put_name(&mut tag, name);
    tag
}
