//! `InfluxDB` 2.x: Flux over `/api/v2/query`, with responses in annotated CSV.
//!
//! <https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>; the request is
//! <https://docs.influxdata.com/influxdb/v2/api/#operation/PostQuery>.
//!
//! Each row of a response is one field. The server does not pivot them into lines: it refuses to if two fields have
//! different types.

use std::io::Read;

use csv::{Reader, ReaderBuilder, StringRecord};
use serde_json::{Value, json};

use super::Error;
use super::client::{Client, ResponseReader, encode};
use super::lines::{Kind, put_key, put_value};
use super::options::Plan;
use super::slice::{Id, Slice, Stop};
use crate::history::{parse_time, timestamp};

/// A server, and what is queried.
pub(super) struct Source {
    client: Client,
    bucket: String,
    path: String,
    org: String,
    tags: Vec<(String, String)>,
    every: Option<i64>,
    from: i64,
}

impl Source {
    pub(super) fn new(client: Client, plan: &Plan) -> Result<Self, Error> {
        let org = plan.org.clone().ok_or_else(|| Error::Option {
            option: "--org",
            what: "InfluxDB 2.x wants to know the organization; say it, or set INFLUX_ORG".to_owned(),
        })?;
        Ok(Self {
            client,
            bucket: plan.database.clone(),
            path: format!("/api/v2/query?org={}", encode(&org)),
            org,
            tags: plan.tags.clone(),
            every: plan.range.every,
            from: plan.range.from,
        })
    }

    fn send_query(&self, query_text: &str) -> Result<Tables<'_, ResponseReader>, Error> {
        let body = json!({
            "type": "flux",
            "query": query_text,
            "dialect": {
                "header": true,
                "annotations": ["datatype", "group", "default"],
                "dateTimeFormat": "RFC3339Nano",
            },
        });
        let answer = self.client.post(&self.path, "application/json", "application/csv", &body.to_string())?;
        Ok(Tables::new(&self.client, answer))
    }

    fn query_text(&self, measurement: &str, from: i64, until: i64) -> String {
        let tags: String =
            self.tags.iter().map(|(key, value)| format!(" and r[{}] == {}", literal(key), literal(value))).collect();
        let mean = self.every.map_or_else(String::new, |seconds| {
            format!(
                "\n  |> filter(fn: (r) => types.isNumeric(v: r._value))\
                 \n  |> aggregateWindow(every: {seconds}s, fn: mean, createEmpty: false, timeSrc: \"_start\")"
            )
        });
        format!(
            "{}from(bucket: {})\n  |> range(start: {}, stop: {})\n  |> filter(fn: (r) => r[\"_measurement\"] == {}{tags}){mean}",
            if self.every.is_some() { "import \"types\"\n" } else { "" },
            literal(&self.bucket),
            timestamp(from),
            timestamp(until),
            literal(measurement),
        )
    }
}

impl super::Source for Source {
    fn measurements(&mut self) -> Result<Vec<String>, Error> {
        // `schema.measurements` of the first versions looks back 30 days and no further.
        let query_text = format!(
            "import \"influxdata/influxdb/schema\"\nschema.tagValues(bucket: {}, tag: \"_measurement\", start: {})",
            literal(&self.bucket),
            timestamp(self.from)
        );
        let mut tables = match self.send_query(&query_text) {
            // The bucket does not exist; the caller lists those that do.
            Err(Error::Server { what, .. }) if what.contains("could not find bucket") => return Ok(Vec::new()),
            tables => tables?,
        };
        let mut names = Vec::new();
        while tables.next()? {
            names.extend(tables.cell("_value").map(str::to_owned));
        }
        Ok(names)
    }

    fn databases(&mut self) -> Result<Vec<String>, Error> {
        let path = format!("/api/v2/buckets?limit=100&org={}", encode(&self.org));
        let mut text = String::new();
        let whole = self.client.get(&path)?.read_to_string(&mut text);
        whole.map_err(|error| self.client.broken_off(error))?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let buckets = answer["buckets"].as_array().cloned().unwrap_or_default();
        Ok(buckets.iter().filter_map(|bucket| Some(bucket["name"].as_str()?.to_owned())).collect())
    }

    fn fetch(&mut self, measurement: &str, from: i64, until: i64, slice: &mut Slice) -> Result<(), Stop> {
        let mut tables = self.send_query(&self.query_text(measurement, from, until))?;
        let mut table = String::new();
        let mut series: Option<Id> = None;
        let mut key = Vec::new();
        let mut line = Vec::new();
        let mut known = false;
        while tables.next()? {
            let number = tables.record.get(2).unwrap_or_default();
            if tables.is_new || !known || number != table {
                number.clone_into(&mut table);
                tables.is_new = false;
                known = true;
                key.clear();
                let field = tables.cell("_field").unwrap_or_default();
                series = match put_key(&mut key, field) {
                    Ok(()) => slice.series(measurement, tables.tags()).ok(),
                    Err(_) => None,
                };
            }
            let Some(series) = series else {
                slice.left_out += 1;
                continue;
            };
            let time = tables.cell("_time").unwrap_or_default();
            let time = parse_time(time).map_err(|what| self.client.failed(format!("its answer: {what}")))?;
            if let Some((kind, value)) = tables.value() {
                line.clear();
                line.extend_from_slice(&key);
                put_value(&mut line, kind, value);
                slice.push(series, time, &line)?;
            }
        }
        Ok(())
    }
}

/// The rows of a response's tables, and the annotations of their columns.
struct Tables<'c, R> {
    client: &'c Client,
    reader: Reader<R>,
    record: StringRecord,
    kinds: StringRecord,
    groups: StringRecord,
    defaults: StringRecord,
    header: Option<StringRecord>,
    /// Whether a table with other columns begins.
    is_new: bool,
}

impl<'c, R: Read> Tables<'c, R> {
    fn new(client: &'c Client, answer: R) -> Self {
        Self {
            client,
            reader: ReaderBuilder::new().has_headers(false).flexible(true).from_reader(answer),
            record: StringRecord::new(),
            kinds: StringRecord::new(),
            groups: StringRecord::new(),
            defaults: StringRecord::new(),
            header: None,
            is_new: true,
        }
    }

    /// Reads the next row; false after the last.
    fn next(&mut self) -> Result<bool, Error> {
        loop {
            let has_row = self.reader.read_record(&mut self.record);
            if !has_row.map_err(|error| self.client.broken_off(error))? {
                return Ok(false);
            }
            let annotation = self.record.get(0).unwrap_or_default();
            if annotation.starts_with('#') {
                self.header = None;
                match annotation {
                    "#datatype" => self.kinds = self.record.clone(),
                    "#group" => self.groups = self.record.clone(),
                    "#default" => self.defaults = self.record.clone(),
                    _ => {}
                }
                continue;
            }
            let Some(header) = &self.header else {
                self.header = Some(self.record.clone());
                self.is_new = true;
                continue;
            };
            if header.get(1) == Some("error") {
                return Err(self.client.failed(self.record.get(1).unwrap_or("it failed, and does not say why")));
            }
            return Ok(true);
        }
    }

    fn at(&self, column: usize) -> &str {
        let cell = self.record.get(column).unwrap_or_default();
        if cell.is_empty() { self.defaults.get(column).unwrap_or_default() } else { cell }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.as_ref()?.iter().position(|column| column == name)
    }

    fn cell(&self, name: &str) -> Option<&str> {
        Some(self.at(self.column(name)?))
    }

    /// The tags: the columns that the table is grouped by, without those that Flux adds.
    fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut tags: Vec<_> = self
            .header
            .iter()
            .flatten()
            .enumerate()
            .skip(3)
            .filter(|(at, _)| self.groups.get(*at) == Some("true"))
            .filter(|(_, name)| !matches!(*name, "_start" | "_stop" | "_field" | "_measurement"))
            .map(|(at, name)| (name, self.at(at)))
            .collect();
        tags.sort_unstable();
        tags.into_iter()
    }

    /// The value, unless it is missing or cannot be represented.
    fn value(&self) -> Option<(Kind, &str)> {
        let column = self.column("_value")?;
        let value = self.at(column);
        let kind = match self.kinds.get(column)? {
            "double" => Kind::Float,
            "long" => Kind::Integer,
            "unsignedLong" => Kind::Unsigned,
            "boolean" => Kind::Boolean,
            "string" => return Some((Kind::Text, value)),
            _ => return None,
        };
        let is_representable = kind == Kind::Boolean || value.parse::<f64>().is_ok_and(f64::is_finite);
        (is_representable && !value.is_empty()).then_some((kind, value))
    }
}

/// A text in double quotes, escaped: `${` would begin an expression.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(literal("a\") |> drop() \\ ${1+1}\n"), r#""a\") |> drop() \\ \${1+1}\n""#);
    }
}
