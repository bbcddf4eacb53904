//! Statistics of the newest rows, in blocks of which the oldest is dropped as a new one begins.

use std::time::Duration;

use crate::alarms::{self, Alarms};
use crate::clock::{Clock, nanoseconds};
use crate::moments::{Moments, is_known};
use crate::reference::{MAX_BINS, Reference};
use crate::sample::{SAMPLE, Sampler, nearest_rank};

/// How many blocks a window has: it slides by an eighth of its length.
pub(crate) const BLOCKS: usize = 8;

/// How many rows a block has at least, whatever the times say: as many as its sample.
pub(crate) const BLOCK_ROWS: u64 = SAMPLE as u64;

/// How many rows of a block have their values counted, about: shares in a window are known to a percent then. Where more come, only
/// one in so many is, by the number of the block before. Alarms are counted of all.
const COUNTED_ROWS: u64 = 512;

/// An alarm begins an incident where none came within this part of the window: three minutes of a day.
const QUIET: u32 = 512;

/// Whatever the seed, the sample is uniform; with one that is always the same, so are reports.
const SEED: u64 = 0x71_75_61_6c_6d;

/// Whether a row with this score is reported.
#[inline]
pub(crate) fn is_alarm(score: f64) -> bool {
    is_known(score) && score > 1.0
}

/// A window over live rows. The score is a column as features are, the last; it has no rows that are reported.
///
/// It allocates all it needs at once: a column takes [`COLUMN_BYTES`], however many rows there are.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    clock: Clock,
    /// The edges of each column's bins; behind the last there are infinite ones.
    edges: Vec<[f64; MAX_BINS - 1]>,
    blocks: [Block; BLOCKS],
    /// The block that rows are added to.
    current: usize,
    /// Its sample: rows of values, [`SAMPLE`] of them, one after another.
    sample: Vec<f64>,
    /// How many blocks have begun, up to [`BLOCKS`].
    begun: usize,
    sampler: Sampler,
    /// One in so many rows is counted on average, by chance: rows of many hosts come in the same order again and again. And how
    /// many come before the next.
    stride: u64,
    skip: u64,
    /// In nanoseconds.
    quiet: i64,
    /// When the last alarm came, by the clock's total.
    last_alarm: Option<i64>,
}

/// What a column takes of memory, in bytes: 5.6 kB.
#[cfg(test)]
const COLUMN_BYTES: usize =
    BLOCKS * (size_of::<Cell>() + size_of::<Sorted>()) + SAMPLE * size_of::<f64>() + size_of::<[f64; MAX_BINS - 1]>();

/// An eighth of a window.
#[derive(Debug, Clone)]
struct Block {
    rows: u64,
    /// Those whose values are counted, and how many of these are reported.
    counted: u64,
    counted_reported: u64,
    cells: Vec<Cell>,
    /// Each column's sample, once the block has ended.
    sorted: Vec<Sorted>,
    alarms: Alarms,
}

/// The known values in a block's sample of a column, in order.
#[derive(Debug, Clone, Copy)]
struct Sorted {
    known: usize,
    values: [f64; SAMPLE],
}

/// A column's statistics in one block.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    moments: Moments,
    /// One for each bin; those that the column does not have stay 0.
    counts: [u64; MAX_BINS],
}

/// A column's statistics in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    pub(crate) rows: f64,
    pub(crate) moments: Moments,
    pub(crate) counts: [f64; MAX_BINS],
}

impl Window {
    pub(crate) fn new(reference: &Reference, length: Duration) -> Self {
        let columns = || reference.features.iter().chain([&reference.score]);
        let padded = |edges: &[f64]| {
            let mut all = [f64::INFINITY; MAX_BINS - 1];
            all.iter_mut().zip(edges).for_each(|(to, edge)| *to = *edge);
            all
        };
        let width = columns().count();
        Self {
            clock: Clock::new(length),
            edges: columns().map(|column| padded(&column.edges)).collect(),
            blocks: std::array::from_fn(|_| Block::new(width)),
            current: 0,
            sample: vec![f64::NAN; width * SAMPLE],
            begun: 1,
            sampler: Sampler::new(SEED),
            stride: 1,
            skip: 0,
            quiet: nanoseconds(length / QUIET),
            last_alarm: None,
        }
    }

    /// Adds a row, at a time in nanoseconds. Where it is the first of a new block, `at_end` sees the window before that.
    /// Whether a block has ended.
    #[inline]
    pub(crate) fn observe(&mut self, time: i64, values: &[f64], score: f64, at_end: impl FnOnce(&Self)) -> bool {
        let ends = self.clock.observe(time) && self.blocks[self.current].rows >= BLOCK_ROWS;
        if ends {
            self.sort_sample();
            at_end(self);
            self.next_block();
        }
        let Self { clock, edges, blocks, current, sample, sampler, stride, skip, quiet, last_alarm, .. } = self;
        let Block { rows, counted, counted_reported, cells, alarms, sorted: _ } = &mut blocks[*current];
        *rows += 1;
        let unreported = if is_alarm(score) { f64::NAN } else { score };
        // There is always a column for the score.
        if *skip > 0 {
            *skip -= 1;
        } else if let (Some((score_cell, cells)), Some((score_edges, edges))) =
            (cells.split_last_mut(), edges.split_last())
        {
            *skip = sampler.skip(*stride);
            *counted += 1;
            *counted_reported += u64::from(is_alarm(score));
            for ((cell, edges), value) in cells.iter_mut().zip(edges).zip(values) {
                cell.add(edges, *value);
            }
            score_cell.add(score_edges, unreported);
        }
        if let Some(place) = sampler.place() {
            let width = cells.len();
            let row = &mut sample[place * width..(place + 1) * width];
            let known = values.len().min(width - 1);
            row[..known].copy_from_slice(&values[..known]);
            row[known..].fill(f64::NAN);
            row[width - 1] = unreported;
        }
        if is_known(score) {
            alarms.rows += 1.0;
            if score > 1.0 {
                let now = clock.total();
                let begins = last_alarm.is_none_or(|last| now - last > *quiet);
                alarms.reported += 1.0;
                alarms.incidents += f64::from(u8::from(begins));
                *last_alarm = Some(now);
            }
        }
        ends
    }

    /// Sorts the sample of the block that rows were added to, which has as many rows at least.
    fn sort_sample(&mut self) {
        let width = self.columns();
        for (column, Sorted { known, values }) in self.blocks[self.current].sorted.iter_mut().enumerate() {
            *known = 0;
            for value in self.sample.iter().skip(column).step_by(width).filter(|value| is_known(**value)) {
                values[*known] = *value;
                *known += 1;
            }
            values[..*known].sort_unstable_by(f64::total_cmp);
        }
    }

    fn next_block(&mut self) {
        self.stride = (self.blocks[self.current].rows / COUNTED_ROWS).max(1);
        self.skip = 0;
        self.clock.next_block();
        self.sampler.restart();
        self.current = (self.current + 1) % BLOCKS;
        self.begun = (self.begun + 1).min(BLOCKS + 1);
        self.blocks[self.current].clear();
    }

    /// Whether all blocks have rows. At the end of a block it then has the newest rows of a window's length.
    pub(crate) fn is_full(&self) -> bool {
        self.begun >= BLOCKS
    }

    pub(crate) fn rows(&self) -> u64 {
        self.blocks.iter().map(|block| block.rows).sum()
    }

    pub(crate) fn columns(&self) -> usize {
        self.edges.len()
    }

    /// The statistics of a column over all blocks.
    pub(crate) fn column(&self, at: usize) -> Column {
        let of_score = at + 1 == self.columns();
        let rows = |block: &Block| block.counted - if of_score { block.counted_reported } else { 0 };
        let rows = self.blocks.iter().map(rows).sum::<u64>() as f64;
        let mut column = Column { rows, moments: Moments::default(), counts: [0.0; MAX_BINS] };
        for block in &self.blocks {
            let Cell { moments, counts } = &block.cells[at];
            column.moments.merge(moments);
            column.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += *count as f64);
        }
        column
    }

    /// Puts values of a column from all blocks into `sorted`, of each block as many as its part of the rows. Only at the end of a
    /// block: what is of it is in order by then.
    pub(crate) fn sample(&self, column: usize, sorted: &mut Vec<f64>) {
        self.sample_of([true; BLOCKS], column, sorted);
    }

    /// Puts scores of all blocks but those with the largest into `sorted`.
    pub(crate) fn calm_scores(&self, sorted: &mut Vec<f64>) {
        let score = self.columns() - 1;
        let p95 = |block: &Block| nearest_rank(block.sorted[score].known(), 0.95).unwrap_or(f64::NEG_INFINITY);
        self.sample_of(alarms::calm(&self.blocks.each_ref().map(p95)), score, sorted);
    }

    fn sample_of(&self, kept: [bool; BLOCKS], column: usize, sorted: &mut Vec<f64>) {
        let most = self.blocks.iter().map(|block| block.rows).max().unwrap_or(0).max(1) as f64;
        sorted.clear();
        for (block, _) in self.blocks.iter().zip(kept).filter(|(_, kept)| *kept) {
            let known = block.sorted[column].known();
            let taken = (known.len() as f64 * (block.rows as f64 / most)).ceil() as usize;
            // Evenly spread over the values.
            sorted.extend((0..taken).map(|at| known[(2 * at + 1) * known.len() / (2 * taken)]));
        }
        // Its parts are sorted, which this sort makes use of.
        sorted.sort_by(f64::total_cmp);
    }

    /// The alarms of the block that rows are added to.
    pub(crate) fn newest_alarms(&self) -> Alarms {
        self.blocks[self.current].alarms
    }

    pub(crate) fn alarms(&self) -> [Alarms; BLOCKS] {
        std::array::from_fn(|at| self.blocks[at].alarms)
    }
}

impl Block {
    fn new(width: usize) -> Self {
        Self {
            rows: 0,
            counted: 0,
            counted_reported: 0,
            cells: vec![Cell::default(); width],
            sorted: vec![Sorted { known: 0, values: [f64::NAN; SAMPLE] }; width],
            alarms: Alarms::default(),
        }
    }

    /// The sample stays until the block ends.
    fn clear(&mut self) {
        let Self { rows, counted, counted_reported, cells, sorted: _, alarms } = self;
        (*rows, *counted, *counted_reported) = (0, 0, 0);
        cells.fill(Cell::default());
        *alarms = Alarms::default();
    }
}

impl Sorted {
    fn known(&self) -> &[f64] {
        &self.values[..self.known]
    }
}

impl Cell {
    #[inline]
    fn add(&mut self, edges: &[f64; MAX_BINS - 1], value: f64) {
        if is_known(value) {
            self.moments.add(value);
            let bin: usize = edges.iter().map(|edge| usize::from(*edge <= value)).sum();
            self.counts[bin] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_micros(8);

    fn reference() -> Reference {
        let values: Vec<f64> = (0..2000).map(|at| f64::from(at % 100)).collect();
        let times: Vec<i64> = (0..1000).collect();
        Reference::new(&times, &values, 2, &[0.5; 1000], LENGTH).unwrap()
    }

    /// How many blocks end with rows at these times.
    fn ends(window: &mut Window, times: impl IntoIterator<Item = i64>) -> usize {
        times.into_iter().filter(|time| window.observe(*time, &[*time as f64, f64::NAN], 0.0, |_| ())).count()
    }

    #[test]
    fn the_oldest_block_is_dropped() {
        let mut window = Window::new(&reference(), LENGTH);
        assert_eq!(ends(&mut window, (0..8000).step_by(10)), 7);
        assert!(window.is_full());
        assert_eq!(window.rows(), 800);
        let mut seen = None;
        window.observe(8000, &[0.0, 0.0], 0.0, |window| seen = Some((window.rows(), window.column(0).moments.mean)));
        assert_eq!(seen, Some((800, 3995.0)));
        assert_eq!(window.rows(), 701);
        assert_eq!(ends(&mut window, (8010..50_000).step_by(10)), 41);
        assert!(window.rows() <= 800, "{}", window.rows());
        let column = window.column(1);
        assert_eq!((column.rows, column.moments.count), (800.0, 0.0));
        let column = window.column(0);
        assert_eq!(column.counts.iter().sum::<f64>(), 800.0);
        assert!((column.moments.mean - 45_995.0).abs() < 1e-6 && (column.moments.deviation() - 2309.4).abs() < 0.1);
    }

    #[test]
    fn of_many_rows_some_are_counted() {
        let mut window = Window::new(&reference(), Duration::from_micros(800));
        let score = |time: i64| if time % 3 == 0 { 2.0 } else { 0.5 };
        for time in 0..800_001 {
            window.observe(time, &[(time % 100) as f64, f64::NAN], score(time), |_| ());
        }
        assert_eq!((window.stride, window.rows()), (195, 700_001), "the newest block has one row");
        let (column, of_score) = (window.column(0), window.column(2));
        // The first block was dropped, of which all were.
        assert!((7 * 460..7 * 570).contains(&(column.rows as u64)), "{}", column.rows);
        assert_eq!((column.rows, of_score.moments.count), (column.moments.count, of_score.rows));
        assert!((column.moments.mean - 49.5).abs() < 2.0);
        let shares = column.counts.map(|count| count / column.rows);
        assert!(shares.iter().all(|share| (share - 0.1).abs() < 0.03), "{shares:?}");
        assert_eq!(Alarms::sum(&window.alarms()).rows, 700_001.0);
    }

    #[test]
    fn a_block_has_rows_enough() {
        let mut window = Window::new(&reference(), LENGTH);
        assert_eq!(ends(&mut window, (0..64).map(|at| at * 7000)), 0);
        assert_eq!(ends(&mut window, [64 * 7000]), 1);
    }

    #[test]
    fn clocks_may_do_anything() {
        let mut window = Window::new(&reference(), LENGTH);
        assert_eq!(ends(&mut window, [5; 1000]), 0);
        assert_eq!(ends(&mut window, (0..1000).map(|at| if at % 2 == 0 { i64::MAX } else { i64::MIN })), 0);
        assert_eq!(ends(&mut window, (0..500).map(|at| -at)), 0);
        assert_eq!(ends(&mut window, (0..1000).map(|at| at * 5)), 4);
    }

    #[test]
    fn the_sample_is_of_all_blocks() {
        let mut window = Window::new(&reference(), LENGTH);
        ends(&mut window, 0..8000);
        let (mut sorted, mut none) = (Vec::new(), Vec::new());
        window.observe(8000, &[0.0, 0.0], 0.0, |window| {
            window.sample(0, &mut sorted);
            window.sample(1, &mut none);
        });
        assert_eq!((sorted.len(), none.len()), (512, 0));
        assert!(sorted.is_sorted() && sorted.iter().filter(|value| **value < 4000.0).count() == 256);
        // A block with half as many rows has half as many values.
        ends(&mut window, (8002..9000).step_by(2));
        window.observe(9000, &[0.0, 0.0], 0.0, |window| window.sample(0, &mut sorted));
        assert_eq!((sorted.len(), sorted.iter().filter(|value| **value > 8000.0).count()), (7 * 64 + 32, 32));
    }

    #[test]
    fn alarms_nearby_are_one_incident() {
        let mut window = Window::new(&reference(), LENGTH);
        for time in 0..900 {
            window.observe(
                time,
                &[0.0, 0.0],
                if matches!(time, 100..110 | 115 | 500) { 2.0 } else { f64::NAN },
                |_| (),
            );
        }
        window.observe(900, &[0.0, 0.0], 0.0, |_| ());
        assert_eq!(window.alarms()[0], Alarms { rows: 13.0, reported: 12.0, incidents: 2.0 });
    }

    #[test]
    fn rows_of_another_width_and_any_values_do() {
        let mut window = Window::new(&reference(), LENGTH);
        for values in [&[][..], &[1.0], &[1.0, 2.0, 3.0], &[f64::INFINITY, f64::MAX]] {
            window.observe(0, values, f64::NEG_INFINITY, |_| ());
        }
        assert_eq!([0, 1, 2].map(|at| window.column(at).moments.count), [2.0, 1.0, 0.0]);
    }

    #[test]
    fn rows_take_no_memory() {
        let mut window = Window::new(&reference(), LENGTH);
        let info = allocation_counter::measure(|| {
            ends(&mut window, 0..20_000);
        });
        assert_eq!(info.count_total, 0);
        assert_eq!(COLUMN_BYTES, 5576);
    }
}
