//! When the rows of a request were measured.

use std::fmt;

use qualm_offline::history::parse_time;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::too_deep;
use crate::api::problem::{Problem, shown};

/// Reads as many times as there are rows: nanoseconds since 1970.
pub(super) fn read(timestamps: &RawValue, rows: usize) -> Result<Vec<i64>, Problem> {
    let mut reader = Times { rows, times: Vec::new() };
    let mut json = serde_json::Deserializer::from_str(timestamps.get());
    let read = json_times(&mut json, &mut reader);
    let Times { times, .. } = reader;
    let one_each = || format!("there must be one for each row, which are {rows}");
    match read {
        Ok(()) if times.len() == rows => Ok(times),
        Ok(()) => Err(Problem::of_field("timestamps", format!("there are {}", times.len())).hint(one_each())),
        Err(error) => {
            if let Some(problem) = too_deep(timestamps.get().as_bytes()) {
                return Err(problem);
            }
            if !timestamps.get().starts_with('[') {
                return Err(Problem::of_field("timestamps", "it must be a list of times").hint(one_each()));
            }
            if times.len() == rows {
                return Err(Problem::of_field("timestamps", format!("there are more than {rows}")).hint(one_each()));
            }
            let error = error.to_string();
            let text = error.split_once(NO_TIME).and_then(|(_, rest)| Some(rest.rsplit_once(" at line ")?.0));
            let what = text.map_or_else(|| "it is no time".to_owned(), |text| format!("`{text}` is no time"));
            let hint = "write 2024-01-31T12:00:00Z, or seconds, milli-, micro- or nanoseconds since 1970";
            Err(Problem::of_field(format!("timestamps[{}]", times.len()), what).hint(hint))
        }
    }
}

/// Precedes a text that is no time in serde's error.
const NO_TIME: &str = "no time: ";

struct Times {
    rows: usize,
    times: Vec<i64>,
}

fn json_times<'de, D: Deserializer<'de>>(json: D, times: &mut Times) -> Result<(), D::Error> {
    json.deserialize_seq(times)
}

impl<'de> Visitor<'de> for &mut Times {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of times")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(time) = seq.next_element_seed(Time)? {
            if self.times.len() == self.rows {
                return Err(A::Error::custom("too many"));
            }
            self.times.push(time);
        }
        Ok(())
    }
}

/// A time: a text, or a number.
struct Time;

impl<'de> DeserializeSeed<'de> for Time {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<i64, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Time {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        parse_time(text).map_err(|_| E::custom(format!("{NO_TIME}{}", shown(text))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, rows: usize) -> Result<Vec<i64>, Problem> {
        read(serde_json::from_str(json).unwrap(), rows)
    }

    #[test]
    fn times_are_texts_or_numbers() {
        let noon = 1_706_702_400_000_000_000;
        let json = r#"["2024-01-31T12:00:00Z", "2024-01-31 12:00:00", 1706702400, 1706702400000, 1706702400.0,
            1706702400000000000]"#;
        assert_eq!(parse(json, 6).unwrap(), [noon; 6]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(parse(&deep, 1).unwrap_err().status, 400);
        for (json, field, what) in [
            ("7", "timestamps", "list of times"),
            ("[1]", "timestamps", "there are 1"),
            ("[1,2,3]", "timestamps", "more than 2"),
            ("[1,\"soon\"]", "timestamps[1]", "`soon` is no time"),
            ("[null,1]", "timestamps[0]", "it is no time"),
            ("[1,1e300]", "timestamps[1]", "is no time"),
            ("[1,1e999]", "timestamps[1]", "is no time"),
            ("[1,18446744073709551615]", "timestamps[1]", "is no time"),
            ("[[1],1]", "timestamps[0]", "is no time"),
        ] {
            let problem = parse(json, 2).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{json}: {problem}");
            assert!(problem.error.contains(what) && problem.hint.is_some(), "{json}: {problem}");
        }
    }
}
