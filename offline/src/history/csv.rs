//! CSV: the first column is the time, every other one a field.

use std::io::Read;

use ::csv::{Position, Reader, ReaderBuilder, StringRecord, Trim};

use super::{Fault, History, Row, cell, parse_time, put_field, put_measurement, put_time};

pub(super) struct Csv<R> {
    reader: Reader<R>,
    columns: Vec<String>,
    measurement: String,
    record: StringRecord,
}

impl<R: Read> Csv<R> {
    /// Reads the header.
    pub(super) fn open(input: R, measurement: &str) -> Result<Self, Fault> {
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        let mut columns = cell::names(reader.byte_headers()?)?;
        columns.remove(0); // the time
        if let Some(twice) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            return Err(Fault::DuplicateColumn(twice.1.clone()));
        }
        Ok(Self { reader, columns, measurement: measurement.to_owned(), record: StringRecord::new() })
    }
}

impl<R: Read> History for Csv<R> {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, Fault)> {
        let Self { reader, columns, measurement, record } = self;
        let has_row =
            reader.read_record(record).map_err(|error| (error.position().map_or(0, Position::line), error.into()))?;
        if !has_row {
            return Ok(None);
        }
        let line = record.position().map_or(0, Position::line);
        let mut cells = record.iter();
        let time = parse_time(cells.next().unwrap_or_default()).map_err(|bad| (line, bad.into()))?;
        let start = out.len();
        put_measurement(out, measurement).map_err(|fault| (line, fault))?;
        let mut first = true;
        for (name, cell) in columns.iter().zip(cells) {
            let no_number = || (line, Fault::Cell { column: name.clone(), cell: cell.to_owned() });
            let value = cell::number(cell).ok_or_else(no_number)?;
            if value.is_finite() {
                put_field(out, first, name, value).map_err(|fault| (line, fault))?;
                first = false;
            }
        }
        if first {
            out.truncate(start);
        } else {
            put_time(out, time);
        }
        Ok(Some(Row { time: Some(time), has_line: !first }))
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }
}
