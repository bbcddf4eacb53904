//! `InfluxDB` 3.x: SQL over `/api/v3/query_sql`, with responses in JSON, an object a line, without missing values.
//!
//! <https://docs.influxdata.com/influxdb3/core/query-data/execute-queries/influxdb-v3-api/>; columns that are dictionaries
//! are tags: <https://docs.influxdata.com/influxdb3/core/reference/sql/information-schema/>.

use std::collections::BTreeMap;

use serde_json::json;
use serde_json::value::RawValue;

use super::Error;
use super::client::{Client, ResponseReader, json_text};
use super::lines::{Kind, put_key, put_value};
use super::options::Plan;
use super::slice::{Slice, Stop};
use crate::history::{parse_time, timestamp};

/// A server, and what is queried.
pub(super) struct Source {
    client: Client,
    database: String,
    tags: Vec<(String, String)>,
    every: Option<i64>,
    /// The columns of each measurement.
    columns: BTreeMap<String, BTreeMap<String, Column>>,
}

/// The role of a column other than the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Tag,
    Field(Kind),
}

impl Source {
    pub(super) fn new(client: Client, plan: &Plan) -> Self {
        Self {
            client,
            database: plan.database.clone(),
            tags: plan.tags.clone(),
            every: plan.range.every,
            columns: BTreeMap::new(),
        }
    }

    fn send_query(&self, query_text: &str) -> Result<Objects<'_>, Error> {
        let body = json!({ "db": self.database, "q": query_text, "format": "jsonl" });
        let answer =
            self.client.post("/api/v3/query_sql", "application/json", "application/jsonl", &body.to_string())?;
        Ok(Objects { client: &self.client, answer, line: Vec::new() })
    }

    fn query_text(&self, measurement: &str, columns: &BTreeMap<String, Column>, from: i64, until: i64) -> String {
        let tags: String =
            self.tags.iter().map(|(key, value)| format!(" AND {} = {}", identifier(key), literal(value))).collect();
        let place = format!(
            "FROM \"iox\".{} WHERE time >= '{}' AND time < '{}'{tags}",
            identifier(measurement),
            timestamp(from),
            timestamp(until)
        );
        let Some(seconds) = self.every else { return format!("SELECT * {place}") };
        let mut selected = vec![format!("date_bin(INTERVAL '{seconds} seconds', time) AS time")];
        let mut groups = vec!["1".to_owned()];
        for (name, column) in columns {
            let name = identifier(name);
            match column {
                Column::Tag => {
                    selected.push(name.clone());
                    groups.push(name);
                }
                Column::Field(_) => selected.push(format!("avg({name}) AS {name}")),
            }
        }
        format!("SELECT {} {place} GROUP BY {}", selected.join(", "), groups.join(", "))
    }
}

impl super::Source for Source {
    fn measurements(&mut self) -> Result<Vec<String>, Error> {
        let query_text =
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox'";
        let mut objects = match self.send_query(query_text) {
            // The database does not exist; the caller lists those that do.
            Err(Error::Server { what, .. }) if what.contains("says 404") || what.contains("database not found") => {
                return Ok(Vec::new());
            }
            objects => objects?,
        };
        let mut columns: BTreeMap<String, BTreeMap<String, Column>> = BTreeMap::new();
        while let Some(object) = objects.next()? {
            let text = |name| object.get(name).map(|value| json_text(value)).unwrap_or_default();
            if let Some(column) = column_of(&text("data_type")) {
                columns.entry(text("table_name")).or_default().insert(text("column_name"), column);
            }
        }
        if self.every.is_some() {
            for columns in columns.values_mut() {
                columns.retain(|_, column| !matches!(column, Column::Field(kind) if !kind.is_numeric()));
            }
        }
        self.columns = columns;
        Ok(self.columns.keys().cloned().collect())
    }

    fn databases(&mut self) -> Result<Vec<String>, Error> {
        let answer = self.client.get("/api/v3/configure/database?format=jsonl")?;
        let mut objects = Objects { client: &self.client, answer, line: Vec::new() };
        let mut names = Vec::new();
        while let Some(object) = objects.next()? {
            names.extend(object.get("iox::database").map(|name| json_text(name)));
        }
        Ok(names)
    }

    /// A day: `InfluxDB` 3 Core refuses queries that open too many of its files, which is about three days.
    fn max_window(&self) -> i64 {
        86_400 * 1_000_000_000
    }

    fn fetch(&mut self, measurement: &str, from: i64, until: i64, slice: &mut Slice) -> Result<(), Stop> {
        let Some(columns) = self.columns.get(measurement) else { return Ok(()) };
        // A tag that a measurement does not have is an error in SQL; the other APIs return no rows.
        let has_all = self.tags.iter().all(|(key, _)| columns.get(key) == Some(&Column::Tag));
        let has_fields = columns.values().any(|column| *column != Column::Tag);
        if !has_all || !has_fields {
            return Ok(());
        }
        let mut objects = self.send_query(&self.query_text(measurement, columns, from, until))?;
        let mut line = Vec::new();
        while let Some(object) = objects.next()? {
            line.clear();
            let mut tags = Vec::new();
            let mut is_representable = true;
            for (name, value) in object.iter().filter(|(_, value)| value.get() != "null") {
                match columns.get(name.as_str()) {
                    Some(Column::Tag) => tags.push((name.as_str(), json_text(value))),
                    Some(Column::Field(kind)) => {
                        let kind = if self.every.is_some() { Kind::Float } else { *kind };
                        is_representable &= put_key(&mut line, name).is_ok();
                        let text = if kind == Kind::Text { json_text(value) } else { value.get().to_owned() };
                        put_value(&mut line, kind, &text);
                    }
                    None => {}
                }
            }
            let time = object.get("time").map(|time| json_text(time)).unwrap_or_default();
            let time = parse_time(&time).map_err(|what| self.client.failed(format!("its answer: {what}")))?;
            match slice.series(measurement, tags.iter().map(|(key, value)| (*key, value.as_str()))) {
                Ok(series) if is_representable => slice.push(series, time, &line)?,
                _ => slice.left_out += 1,
            }
        }
        Ok(())
    }
}

/// The objects of a response.
struct Objects<'c> {
    client: &'c Client,
    answer: ResponseReader,
    line: Vec<u8>,
}

impl Objects<'_> {
    fn next(&mut self) -> Result<Option<BTreeMap<String, &RawValue>>, Error> {
        let Self { client, answer, line } = self;
        if !client.read_line(answer, line)? {
            return Ok(None);
        }
        let object = serde_json::from_slice(line);
        object.map(Some).map_err(|error| client.failed(format!("its answer is not what InfluxDB 3.x says ({error})")))
    }
}

/// `None` for the time.
fn column_of(data_type: &str) -> Option<Column> {
    match data_type {
        "Float64" => Some(Column::Field(Kind::Float)),
        "Int64" => Some(Column::Field(Kind::Integer)),
        "UInt64" => Some(Column::Field(Kind::Unsigned)),
        "Boolean" => Some(Column::Field(Kind::Boolean)),
        "Utf8" | "Utf8View" | "LargeUtf8" => Some(Column::Field(Kind::Text)),
        _ if data_type.starts_with("Dictionary(") => Some(Column::Tag),
        _ => None,
    }
}

/// A name in double quotes, escaped.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes, escaped.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(identifier(r#"a"; DROP TABLE "x"#), r#""a""; DROP TABLE ""x""#);
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn the_data_type_gives_the_role_of_a_column() {
        assert_eq!(column_of("Dictionary(Int32, Utf8)"), Some(Column::Tag));
        assert_eq!(column_of("Int64"), Some(Column::Field(Kind::Integer)));
        assert_eq!(column_of("Timestamp(Nanosecond, None)"), None);
    }
}
