//! Each series' last row: whether the series is in order of time, and whether it is scored by now.

use qualm_offline::history::timestamp;
use qualm_pipeline::pipeline::Verdict;

use super::Error;

/// Rows after which the order is judged.
const MIN_ROWS: u64 = 1000;

/// At most one row in so many may be earlier than the one before it.
const MIN_ROWS_PER_BACKWARDS: u64 = 10;

/// The order of the rows so far.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The series' last rows, by lane and number.
    lanes: Vec<Vec<LastRow>>,
    rows: u64,
    /// Rows that are earlier than the one before them in their series, and the first of them.
    pub(super) backwards: u64,
    pub(super) first: Option<String>,
    pub(super) earliest: Option<i64>,
    pub(super) latest: Option<i64>,
}

/// A series' last row.
#[derive(Debug, Clone, Copy)]
struct LastRow {
    time: i64,
    scored: bool,
}

const NO_ROW: LastRow = LastRow { time: i64::MIN, scored: false };

impl Order {
    pub(super) fn record(&mut self, verdict: &Verdict<'_>) {
        let Verdict { lane, series, time: at, .. } = *verdict;
        if self.lanes.len() <= lane {
            self.lanes.resize(lane + 1, Vec::new());
        }
        let rows = &mut self.lanes[lane];
        if rows.len() <= series as usize {
            rows.resize(series as usize + 1, NO_ROW);
        }
        let last = &mut rows[series as usize];
        self.rows += 1;
        if at < last.time {
            self.backwards += 1;
            let what = [verdict.head, verdict.key].map(|part| String::from_utf8_lossy(part).into_owned());
            self.first.get_or_insert_with(|| {
                format!("first `{}` at {} after {}", what.join(" ").trim(), timestamp(at), timestamp(last.time))
            });
        }
        *last = LastRow { time: at, scored: !verdict.score.is_nan() };
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
    }

    /// Removes a dropped series, whose number may be assigned again.
    pub(super) fn remove_series(&mut self, lane: usize, series: u32) {
        if let Some(last) = self.lanes.get_mut(lane).and_then(|rows| rows.get_mut(series as usize)) {
            *last = NO_ROW;
        }
    }

    /// The number of series whose last row has a score.
    pub(super) fn ready(&self) -> u64 {
        self.lanes.iter().flatten().filter(|last| last.scored).count() as u64
    }

    /// Checks that most rows are in order; before the end only after [`MIN_ROWS`].
    ///
    /// # Errors
    ///
    /// Where more are out of order than [`MIN_ROWS_PER_BACKWARDS`] allows.
    pub(super) fn check(&self, at_end: bool) -> Result<(), Error> {
        let Self { rows, backwards, first, .. } = self;
        if backwards * MIN_ROWS_PER_BACKWARDS > *rows && (at_end || *rows >= MIN_ROWS) {
            let first = first.clone().unwrap_or_default();
            return Err(Error::OutOfOrder { backwards: *backwards, rows: *rows, first });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use qualm_contract::{Band, Reason};

    use super::*;

    fn order_of(rows: &[(u32, i64)]) -> Order {
        let mut order = Order::default();
        for &(series, time) in rows {
            let (head, key): (&[u8], &[u8]) = (b"m", b"v");
            let score = if time > 2 { 0.5 } else { f64::NAN };
            order.record(&Verdict {
                event: 0,
                lane: 1,
                series,
                time,
                head,
                key,
                values: &[],
                score,
                anomaly: false,
                reports: false,
                contributions: &[],
                reason: Reason::None,
                band: Band::UNKNOWN,
            });
        }
        order
    }

    #[test]
    fn each_series_has_an_order_of_its_own() {
        let mut order = order_of(&[(0, 1), (0, 2), (0, 3), (3, 1), (3, 2)]);
        assert_eq!((order.backwards, order.ready(), order.earliest, order.latest), (0, 1, Some(1), Some(3)));
        order.check(true).unwrap();
        order.remove_series(1, 0);
        assert_eq!(order.ready(), 0);
        let order = order_of(&[(0, 3), (0, 2), (0, 1)]);
        assert_eq!((order.backwards, order.first.as_deref().unwrap().contains("`m v`")), (2, true));
        order.check(false).unwrap();
        assert!(order.check(true).unwrap_err().to_string().contains("2 of 3 values"));
    }
}
