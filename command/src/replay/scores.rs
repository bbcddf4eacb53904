//! The file of scores, as CSV: a row for each row of the input.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use qualm_contract::{Band, Reason};

use super::{Batch, Cell};

/// The file, with the columns of the scores, and `score` as the last one.
pub(super) struct ScoresFile {
    out: BufWriter<Box<dyn Write>>,
    /// Whether it has bands and reasons too.
    banded: bool,
    /// The largest score in each column of the current row: a detector may score several fields of a line.
    largest: Vec<Option<Cell>>,
}

impl ScoresFile {
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
        Ok(Self { out, banded, largest: vec![None; columns.len()] })
    }

    pub(super) fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let Self { out, banded, largest } = self;
        let mut cells = batch.cells.iter().peekable();
        for (row, &time) in batch.times.iter().enumerate() {
            largest.fill(None);
            while let Some(cell) = cells.next_if(|cell| cell.row == row) {
                let largest = &mut largest[cell.column];
                if largest.is_none_or(|largest| largest.score.is_nan() || largest.score < cell.score) {
                    *largest = Some(*cell);
                }
            }
            match Timestamp::from_nanosecond(time.into()) {
                Ok(_) if time == i64::MIN => {} // no row had a timestamp yet
                Ok(time) => write!(out, "{time}")?,
                Err(_) => write!(out, "{time}")?,
            }
            let scores = || largest.iter().map(|cell| cell.map_or(f64::NAN, |cell| cell.score));
            scores().try_for_each(|score| write_number(out, score))?;
            for cell in largest.iter().filter(|_| *banded) {
                let (band, reason) = cell.map_or((Band::UNKNOWN, Reason::None), |cell| (cell.band, cell.reason));
                let Band { expected, lower, upper } = band;
                [expected, lower, upper].into_iter().try_for_each(|value| write_number(out, value))?;
                write!(out, ",{}", reason.name().unwrap_or_default())?;
            }
            write_number(out, scores().fold(f64::NAN, f64::max))?; // `max` prefers a number to NaN
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a cell, empty for NaN.
fn write_number(out: &mut impl Write, value: f64) -> io::Result<()> {
    if value.is_nan() { out.write_all(b",") } else { write!(out, ",{value}") }
}
