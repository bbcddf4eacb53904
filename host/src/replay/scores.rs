//! The file of scores, as CSV: a row for each row of the input.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use qualm_stream::{Band, Reason};

use super::Batch;

/// The file, with a column for whatever has a score, and `score` as the last one.
pub(super) struct Scores {
    out: BufWriter<Box<dyn Write>>,
    /// Whether bands and reasons stand there too.
    banded: bool,
    /// Of the row at hand, by column.
    largest: Vec<f64>,
    details: Vec<(Band, Reason)>,
}

impl Scores {
    pub(super) fn create(path: &Path, columns: &[String], banded: bool) -> io::Result<Self> {
        let out: Box<dyn Write> =
            if path == Path::new("-") { Box::new(io::stdout().lock()) } else { Box::new(File::create(path)?) };
        let mut out = BufWriter::new(out);
        let mut names: Vec<_> = ["time".to_owned()].into_iter().chain(columns.iter().cloned()).collect();
        for column in columns.iter().filter(|_| banded) {
            names.extend(["expected", "lower", "upper", "reason"].map(|what| format!("{column} {what}")));
        }
        names.push("score".to_owned());
        let mut header = csv::Writer::from_writer(&mut out);
        header.write_record(names)?;
        header.flush()?;
        drop(header);
        let details = vec![(Band::UNKNOWN, Reason::None); columns.len()];
        Ok(Self { out, banded, largest: vec![f64::NAN; columns.len()], details })
    }

    pub(super) fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let Self { out, banded, largest: scores, details } = self;
        let mut cells = batch.cells.iter().peekable();
        for (row, &time) in batch.times.iter().enumerate() {
            scores.fill(f64::NAN);
            details.fill((Band::UNKNOWN, Reason::None));
            while let Some(cell) = cells.next_if(|cell| cell.row == row) {
                scores[cell.column] = scores[cell.column].max(cell.score); // `max` prefers a number to NaN
                details[cell.column] = (cell.band, cell.reason);
            }
            match Timestamp::from_nanosecond(time.into()) {
                Ok(_) if time == i64::MIN => {} // no row has told a time yet
                Ok(time) => write!(out, "{time}")?,
                Err(_) => write!(out, "{time}")?,
            }
            scores.iter().try_for_each(|score| number(out, *score))?;
            for (Band { expected, lower, upper }, reason) in details.iter().filter(|_| *banded) {
                [expected, lower, upper].into_iter().try_for_each(|value| number(out, *value))?;
                write!(out, ",{}", reason.word().unwrap_or_default())?;
            }
            number(out, scores.iter().copied().fold(f64::NAN, f64::max))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A cell, empty where nothing is known.
fn number(out: &mut impl Write, value: f64) -> io::Result<()> {
    if value.is_nan() { out.write_all(b",") } else { write!(out, ",{value}") }
}
