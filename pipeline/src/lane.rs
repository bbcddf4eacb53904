//! One detector's part of the pipeline: what it selects, its series, and its rows.

use qualm_contract::{BatchScorer, Verdicts};

use crate::anomaly_rate::{AnomalyRate, EntityCounter};
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
    /// The findings of the run's rows.
    pub(crate) findings: Vec<Finding>,
    /// Counts for anomaly rates, if wanted; for fields only.
    pub(crate) entity_counter: Option<Box<EntityCounter>>,
    incidents: Incidents,
    dropped: Vec<u32>,
}

/// The group of all vectors of a detector, which have the same features.
const VECTOR_GROUP: u64 = 0;

/// What a detector's rows are.
#[derive(Debug)]
pub(crate) enum Wants {
    /// Each field is a series, each of its values a row. Has the origin of each row.
    Fields(Vec<Origin>),
    /// Features of an entity, joined across events.
    Vectors(Box<Vectors>),
}

/// The state of a lane of vectors.
#[derive(Debug)]
pub(crate) struct Vectors {
    pub(crate) joiner: Joiner,
    /// The detector's name, as a tag's value in a line.
    pub(crate) name: Vec<u8>,
}

/// The origin of a row of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The index of its event in `Pipeline::events`.
    pub(crate) event: u32,
    /// Where the field's key starts in the format's text, and its length.
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
            entity_counter: None,
            incidents: Incidents::default(),
            dropped: Vec::new(),
        }
    }

    /// A lane whose detector, called `name`, scores vectors joined from the selected events. It does not affect which other
    /// detectors score the events' fields.
    #[must_use]
    pub fn vectors(name: &str, shape: Shape, selector: Selector, limits: Limits) -> Self {
        let rows = Rows::new(shape.features.len().max(1)); // there are no features before there is a model
        let wants = Wants::Vectors(Box::new(Vectors { joiner: Joiner::new(shape), name: escaped_tag(name) }));
        Self { wants, rows, ..Self::new(selector, limits) }
    }

    /// The same lane with a rule for which incidents are reported.
    #[must_use]
    pub fn suppress(mut self, rule: Suppression) -> Self {
        self.set_suppression(rule);
        self
    }

    /// The same lane, whose detector is called `name`, with anomaly rates of its entities emitted. A lane of vectors has none,
    /// since each of its entities is one series.
    #[must_use]
    pub fn emit_rates(mut self, name: &str, rule: AnomalyRate) -> Self {
        if let Wants::Fields(_) = self.wants {
            self.entity_counter = Some(Box::new(EntityCounter::new(escaped_tag(name), rule)));
        }
        self
    }

    /// The same lane, with bands shown or not, for rows of one value.
    #[must_use]
    pub fn show_bands(mut self, shown: bool) -> Self {
        self.rows.bands = shown && self.rows.features() == 1;
        self
    }

    /// The same lane, with the groups of siblings passed on to its detector or not.
    #[must_use]
    pub fn relate(mut self, related: bool) -> Self {
        self.rows.related = related;
        self
    }

    /// The shape of its vectors; `None` if it scores fields.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        match &self.wants {
            Wants::Fields(_) => None,
            Wants::Vectors(vectors) => Some(vectors.joiner.shape()),
        }
    }

    /// Sets the rule by which incidents are reported. A changed rule clears all incidents.
    pub fn set_suppression(&mut self, rule: Suppression) {
        if self.incidents.rule() != rule {
            self.incidents = Incidents::new(rule);
        }
        // Several values have no side and no single distance.
        self.rows.explain = rule.needs_deviation() && self.rows.features() == 1;
    }

    /// The rule by which it reports incidents.
    #[must_use]
    pub fn suppression(&self) -> Suppression {
        self.incidents.rule()
    }

    /// The tags of an entity whose vectors it joins, as in line protocol: `,host=a`.
    #[must_use]
    pub fn tags(&self, series: u32) -> &[u8] {
        match &self.wants {
            Wants::Fields(_) => &[],
            Wants::Vectors(vectors) => vectors.joiner.tags(series),
        }
    }

    /// Counts of the vectors that it has joined.
    #[must_use]
    pub fn joined(&self) -> join::Counts {
        match &self.wants {
            Wants::Fields(_) => join::Counts::default(),
            Wants::Vectors(vectors) => vectors.joiner.counts(),
        }
    }

    /// Its series.
    #[must_use]
    pub fn series(&self) -> &SeriesTable {
        &self.series
    }

    /// Its series, to restore saved ones.
    pub fn series_mut(&mut self) -> &mut SeriesTable {
        &mut self.series
    }

    /// The rows of the last run, and their verdicts.
    #[must_use]
    pub fn last_rows(&self) -> (&Rows, &Verdicts) {
        (&self.rows, &self.verdicts)
    }

    /// Saves its incidents for a restart.
    #[must_use]
    pub fn save_incidents(&self) -> SeriesSnapshot {
        self.incidents.save_snapshot(&self.series)
    }

    /// Restores incidents of series that have been restored.
    pub fn restore_incidents(&mut self, snapshot: &SeriesSnapshot) {
        self.incidents.restore_snapshot(snapshot, &self.series);
    }

    /// Whether events with this head may have rows for it.
    pub(crate) fn wants_event(&self, head: &[u8]) -> bool {
        self.selector.wants_event(head)
            && match &self.wants {
                Wants::Fields(_) => true,
                Wants::Vectors(vectors) => vectors.joiner.wants_event(head),
            }
    }

    /// Whether a field of such an event is a row. A boolean is one only if its name is selected explicitly.
    pub(crate) fn wants_field(&self, key: &[u8], boolean: bool) -> bool {
        let named = !boolean || !self.selector.include_fields.is_empty();
        named && matches!(self.wants, Wants::Fields(_)) && self.selector.wants_field(key)
    }

    /// Offset and length of the key of a row's field in the format's text. A vector has none.
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
        if let Some(entity_counter) = &mut self.entity_counter {
            entity_counter.set_seed(seed);
        }
    }

    /// Begins a run at this time.
    pub(crate) fn begin_run(&mut self, now: i64) {
        self.series.advance_clock(now);
        self.rows.clear();
        self.verdicts.clear();
        self.findings.clear();
        if let Some(entity_counter) = &mut self.entity_counter {
            entity_counter.begin_run();
        }
        match &mut self.wants {
            Wants::Fields(origins) => origins.clear(),
            Wants::Vectors(vectors) => vectors.joiner.emissions.clear(),
        }
    }

    /// Lets the detector score the run's rows.
    pub(crate) fn score_rows(&mut self, scorer: &mut impl BatchScorer) {
        let Self { rows, verdicts, series, dropped, wants, .. } = self;
        if let (true, Wants::Vectors(_)) = (rows.related, wants) {
            rows.groups.resize(rows.len(), VECTOR_GROUP);
        }
        if !rows.is_empty() {
            scorer.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
            // Rows that a scorer could not score have no score; it counts and logs why.
            let _failed = scorer.score_batch(rows.batch(), rows.wanted(), verdicts);
            verdicts.pad_unscored(rows.len(), rows.features());
        }
        series.drop_expired(rows.len(), dropped);
    }

    /// Judges a row of this run. Rows must be judged in order.
    pub(crate) fn judge_row(&mut self, row: usize) -> Finding {
        let Self { rows, verdicts, incidents, findings, .. } = self;
        let alone = |of: &[f64]| if rows.features() == 1 { of.get(row).copied() } else { None };
        let finding = incidents.judge_row(Row {
            series: rows.series[row],
            time: rows.times[row],
            score: verdicts.scores[row],
            value: alone(&rows.values),
            deviation: alone(&verdicts.contributions),
        });
        findings.push(finding);
        finding
    }

    /// Dropped series that have not been passed on to the detector yet.
    #[must_use]
    pub fn dropped_series(&self) -> &[u32] {
        &self.dropped
    }

    /// Passes the dropped series on to the detector, and returns how many there are.
    pub(crate) fn forget_dropped(&mut self, scorer: &mut impl BatchScorer) -> u64 {
        let Self { dropped, incidents, wants, entity_counter, .. } = self;
        if dropped.is_empty() {
            return 0;
        }
        // A scorer that fails can no longer be used: it scores nothing, and logs why.
        let _failed = scorer.forget_series(dropped);
        incidents.end_incidents(dropped);
        if let Wants::Vectors(vectors) = wants {
            vectors.joiner.remove_entities(dropped);
        }
        if let Some(entity_counter) = entity_counter {
            entity_counter.remove_series(dropped);
        }
        let count = dropped.len() as u64;
        dropped.clear();
        count
    }
}

/// A detector's name as a tag's value in a line.
fn escaped_tag(name: &str) -> Vec<u8> {
    let mut tag = Vec::new();
    crate::splice::write_name(&mut tag, name);
    tag
}
