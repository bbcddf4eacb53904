//! Reads CSV, even with ragged rows.

use std::io::Read;

use ::csv::{ByteRecord, ReaderBuilder};

use super::super::data::{Data, NO_TIME};
use super::{excerpt, hash};
use crate::history::{cell, parse_time};

/// The role of a column of the file.
enum Column {
    Time,
    Number(usize),
}

pub(super) fn read(input: impl Read, measurement: &str, data: &mut Data, step: &mut dyn FnMut()) {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
    let header = match reader.byte_headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            data.faults.broken_off = Some((1, error.to_string()));
            return;
        }
    };
    data.is_table = true;
    let group = data.group(measurement.as_bytes());
    let series = data.series(measurement.as_bytes(), group);
    let columns = columns(&header, data, group);
    let mut record = ByteRecord::new();
    let mut cells = Vec::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                data.faults.broken_off = Some((reader.position().line(), error.to_string()));
                return;
            }
        }
        step();
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.len() != columns.len() {
            data.faults.ragged.add(line, || format!("{} cells instead of {}", record.len(), columns.len()));
        }
        let mut time = NO_TIME;
        cells.clear();
        for (cell, column) in record.iter().zip(&columns) {
            let cell = cell.trim_ascii();
            match column {
                Column::Time => match std::str::from_utf8(cell).ok().and_then(|cell| parse_time(cell).ok()) {
                    Some(read) => time = read,
                    None if cell.is_empty() => data.faults.untimed.add(line, String::new),
                    None => data.faults.time.add(line, || excerpt(cell)),
                },
                Column::Number(column) => match number(cell) {
                    Some(number) => cells.push((*column, number)),
                    None => data.groups[group].texts[*column].add(line, || excerpt(cell)),
                },
            }
        }
        data.row(series, line, time, fingerprint(&record), &cells);
    }
}

fn number(cell: &[u8]) -> Option<f64> {
    cell::number(std::str::from_utf8(cell).ok()?)
}

/// The hash of a row's cells: `1,23` and `12,3` differ.
fn fingerprint(record: &ByteRecord) -> u64 {
    let cells = hash(record.as_slice());
    let ends = (0..record.len()).filter_map(|cell| record.range(cell));
    ends.fold(cells, |hash, cell| (hash ^ cell.end as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
}

/// Reads the header. An invalid one is a fault, and as many columns as possible are read.
fn columns(header: &ByteRecord, data: &mut Data, group: usize) -> Vec<Column> {
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let time = names.iter().position(|name| cell::is_time(name));
    data.faults.header = cell::names(header).err();
    let mut columns = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        columns.push(if Some(at) == time {
            Column::Time
        } else if data.groups[group].known(name.as_bytes()).is_some() {
            data.faults.twice.push(name.clone());
            Column::Number(data.groups[group].add(name))
        } else {
            Column::Number(data.groups[group].column(name.as_bytes()))
        });
    }
    columns
}
