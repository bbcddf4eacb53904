//! `InfluxDB` 1.x: `InfluxQL` over `/query`, with responses in chunks of JSON, one a line.
//!
//! <https://docs.influxdata.com/influxdb/v1/tools/api/#query-http-endpoint>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use super::client::{Client, ResponseReader, encode, json_text};
use super::lines::{Kind, put_key, put_value};
use super::options::Plan;
use super::slice::{Slice, Stop};

/// A server, and what is queried.
pub(super) struct Source {
    client: Client,
    database: String,
    retention: Option<String>,
    tags: Vec<(String, String)>,
    every: Option<i64>,
    /// The fields of each measurement that was queried, with their types.
    fields: BTreeMap<String, Vec<(String, Kind)>>,
}

/// A chunk of a response.
#[derive(Debug, Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    results: Vec<Statement<'a>>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Statement<'a> {
    #[serde(borrow, default)]
    series: Vec<Series<'a>>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Series<'a> {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(borrow, default)]
    values: Vec<Vec<&'a RawValue>>,
}

impl Source {
    pub(super) fn new(client: Client, plan: &Plan) -> Self {
        Self {
            client,
            database: plan.database.clone(),
            retention: plan.retention.clone(),
            tags: plan.tags.clone(),
            every: plan.range.every,
            fields: BTreeMap::new(),
        }
    }

    fn send_query(&self, query_text: &str) -> Result<Chunks<'_>, Error> {
        let form =
            format!("db={}&epoch=ns&chunked=true&chunk_size=5000&q={}", encode(&self.database), encode(query_text));
        let answer = self.client.post("/query", "application/x-www-form-urlencoded", "application/json", &form)?;
        Ok(Chunks { client: &self.client, answer, line: Vec::new() })
    }

    /// The texts in a response's first columns.
    fn texts<const N: usize>(&self, query_text: &str) -> Result<Vec<[String; N]>, Error> {
        let mut chunks = self.send_query(query_text)?;
        let mut rows = Vec::new();
        while let Some(chunk) = chunks.next()? {
            for row in chunk.into_iter().flat_map(|series| series.values) {
                let mut texts = row.iter().map(|cell| json_text(cell));
                rows.push(std::array::from_fn(|_| texts.next().unwrap_or_default()));
            }
        }
        Ok(rows)
    }

    /// A measurement's name, as a query needs it.
    fn from(&self, measurement: &str) -> String {
        match &self.retention {
            Some(retention) => format!("{}.{}", identifier(retention), identifier(measurement)),
            None => identifier(measurement),
        }
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(String, Kind)>, Error> {
        let rows = self.texts::<2>(&format!("SHOW FIELD KEYS FROM {}", self.from(measurement)))?;
        let mut fields: Vec<_> = rows.into_iter().filter_map(|[name, kind]| Some((name, kind_of(&kind)?))).collect();
        fields.sort();
        // A field may have had several types. Numbers are converted to the first of their types, so only that is queried;
        // other types have columns of their own.
        fields.dedup_by(|next, before| next.0 == before.0 && next.1.is_numeric() && before.1.is_numeric());
        Ok(fields)
    }

    fn query_text(&self, measurement: &str, fields: &[(String, Kind)], from: i64, until: i64) -> String {
        let columns: Vec<String> = fields
            .iter()
            .map(|(name, kind)| {
                let column = format!("{}::{}", identifier(name), name_of(*kind));
                if self.every.is_some() { format!("mean({column})") } else { column }
            })
            .collect();
        let tags: String = self
            .tags
            .iter()
            .map(|(key, value)| format!(" AND {}::tag = {}", identifier(key), literal(value)))
            .collect();
        let group = self.every.map_or_else(|| "*".to_owned(), |seconds| format!("time({seconds}s), * fill(none)"));
        format!(
            "SELECT {} FROM {} WHERE time >= {from} AND time < {until}{tags} GROUP BY {group}",
            columns.join(", "),
            self.from(measurement)
        )
    }
}

impl super::Source for Source {
    fn measurements(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.texts::<1>("SHOW MEASUREMENTS")?.into_iter().map(|[name]| name).collect())
    }

    fn databases(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.texts::<1>("SHOW DATABASES")?.into_iter().map(|[name]| name).collect())
    }

    fn fetch(&mut self, measurement: &str, from: i64, until: i64, slice: &mut Slice) -> Result<(), Stop> {
        if !self.fields.contains_key(measurement) {
            let mut fields = self.fields(measurement)?;
            fields.retain(|(_, kind)| self.every.is_none() || kind.is_numeric());
            self.fields.insert(measurement.to_owned(), fields);
        }
        let fields = &self.fields[measurement];
        if fields.is_empty() {
            return Ok(());
        }
        let mut chunks = self.send_query(&self.query_text(measurement, fields, from, until))?;
        let mut line = Vec::new();
        while let Some(chunk) = chunks.next()? {
            for series in chunk {
                let tags = series.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                let Ok(id) = slice.series(measurement, tags) else {
                    slice.left_out += series.values.len() as u64;
                    continue;
                };
                for row in series.values {
                    let time = row.first().and_then(|time| time.get().parse().ok());
                    let time = time.ok_or_else(|| self.client.failed("a row of its answer has no time"))?;
                    line.clear();
                    put_fields(&mut line, fields, &row[1..], &mut slice.left_out, self.every.is_some());
                    slice.push(id, time, &line)?;
                }
            }
        }
        Ok(())
    }
}

/// Appends the fields that have a value.
fn put_fields(line: &mut Vec<u8>, fields: &[(String, Kind)], row: &[&RawValue], left_out: &mut u64, is_mean: bool) {
    for ((name, kind), cell) in fields.iter().zip(row).filter(|(_, cell)| cell.get() != "null") {
        let before = line.len();
        if put_key(line, name).is_err() {
            line.truncate(before);
            *left_out += 1;
            continue;
        }
        match kind {
            Kind::Text => put_value(line, *kind, &json_text(cell)),
            _ if is_mean => put_value(line, Kind::Float, cell.get()),
            _ => put_value(line, *kind, cell.get()),
        }
    }
}

/// The chunks of a response.
struct Chunks<'c> {
    client: &'c Client,
    answer: ResponseReader,
    line: Vec<u8>,
}

impl Chunks<'_> {
    fn next(&mut self) -> Result<Option<Vec<Series<'_>>>, Error> {
        let Self { client, answer, line } = self;
        if !client.read_line(answer, line)? {
            return Ok(None);
        }
        let chunk: Chunk<'_> = serde_json::from_slice(line)
            .map_err(|error| client.failed(format!("its answer is not what InfluxDB 1.x says ({error})")))?;
        let mut all = Vec::new();
        let mut error = chunk.error;
        for statement in chunk.results {
            error = error.or(statement.error);
            all.extend(statement.series);
        }
        match error {
            Some(said) => Err(client.failed(said)),
            None => Ok(Some(all)),
        }
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    match name {
        "float" => Some(Kind::Float),
        "integer" => Some(Kind::Integer),
        "unsigned" => Some(Kind::Unsigned),
        "string" => Some(Kind::Text),
        "boolean" => Some(Kind::Boolean),
        _ => None,
    }
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "float",
        Kind::Integer => "integer",
        Kind::Unsigned => "unsigned",
        Kind::Text => "string",
        Kind::Boolean => "boolean",
    }
}

/// A name in double quotes, escaped.
fn identifier(name: &str) -> String {
    format!("\"{}\"", escaped(name, '"'))
}

/// A text in single quotes, escaped.
fn literal(text: &str) -> String {
    format!("'{}'", escaped(text, '\''))
}

fn escaped(text: &str, quote: char) -> String {
    text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}")).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(identifier(r#"a"; DROP DATABASE x; \"#), r#""a\"; DROP DATABASE x; \\""#);
        assert_eq!(literal("it's \\' \n"), r"'it\'s \\\' \n'");
    }
}
