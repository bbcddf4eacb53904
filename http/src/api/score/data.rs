//! The rows of a request, straight from JSON into one list of doubles.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::too_deep;
use crate::api::models::FeatureNames;
use crate::api::problem::{Problem, did_you_mean, shown};

/// The limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most rows.
    pub rows: usize,
    /// The most values: rows times features. An empty object is a row, too, so that a body's size alone is no limit.
    pub values: usize,
}

/// A hundred thousand rows, and 16 MiB of values.
impl Default for Limits {
    fn default() -> Self {
        Self { rows: 100_000, values: 2 << 20 }
    }
}

/// Reads rows: as many doubles each as there are names; NaN is missing.
pub(super) fn read(data: &RawValue, names: &FeatureNames, limits: Limits) -> Result<Vec<f64>, Problem> {
    let mut reader = Reader { names, limits, values: Vec::new(), seen: vec![false; names.all().len()], problem: None };
    let mut json = serde_json::Deserializer::from_str(data.get());
    match Data(&mut reader).deserialize(&mut json) {
        Ok(()) if reader.values.is_empty() => Err(Problem::of_field("data", "there is no row in it")),
        Ok(()) => Ok(reader.values),
        Err(_) => Err(too_deep(data.get().as_bytes()).or(reader.problem).unwrap_or_else(no_rows)),
    }
}

fn no_rows() -> Problem {
    Problem::of_field("data", "it must be a list of rows").hint("each row is a list of numbers, or an object of them")
}

struct Reader<'a> {
    names: &'a FeatureNames,
    limits: Limits,
    values: Vec<f64>,
    /// The features that were read of the current row.
    seen: Vec<bool>,
    /// The first problem: serde's own errors are texts without a field.
    problem: Option<Problem>,
}

impl Reader<'_> {
    /// Records a problem of the current row, unless there is one already.
    fn fail<E: Error>(&mut self, at: &str, problem: impl FnOnce(&Self) -> Problem) -> E {
        if self.problem.is_none() {
            let row = self.values.len() / self.width();
            self.problem = Some(Problem { field: Some(format!("data[{row}]{at}")), ..problem(self) });
        }
        E::custom("")
    }

    fn width(&self) -> usize {
        self.names.all().len()
    }
}

/// The list of rows.
struct Data<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        while rows.next_element_seed(Row(reader))?.is_some() {}
        Ok(())
    }
}

/// One row.
struct Row<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self(reader) = self;
        let limits = reader.limits;
        if reader.values.len() >= limits.rows.saturating_mul(reader.width()) {
            return Err(reader.fail("", |_| {
                let error = format!("there are more than {} rows", limits.rows);
                Problem::of_field("", error).hint("send them in several requests")
            }));
        }
        if reader.values.len() + reader.width() > limits.values {
            return Err(reader.fail("", |_| {
                let error = format!("there are more than {} values", limits.values);
                Problem::of_field("", error).hint("send the rows in several requests")
            }));
        }
        let before = reader.values.len();
        json.deserialize_any(Row(reader)).inspect_err(|_| {
            reader.values.truncate(before);
            let _recorded: D::Error = reader.fail("", |_| {
                Problem::of_field("", "it is no row").hint("a row is a list of numbers, or an object of them")
            });
        })
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        let (start, width) = (reader.values.len(), reader.width());
        loop {
            let place = reader.values.len() - start;
            match cells.next_element_seed(Cell) {
                Ok(Some(_)) if place == width => break,
                Ok(Some(value)) => reader.values.push(value),
                Ok(None) if place == width => return Ok(()),
                Ok(None) => break,
                Err(error) => {
                    reader.values.truncate(start);
                    return Err(reader.fail(&format!("[{place}]"), |_| no_number(&error)));
                }
            }
        }
        let found = match reader.values.len() - start {
            found if found == width => format!("more than {width} values"),
            1 => "1 value".to_owned(),
            found => format!("{found} values"),
        };
        reader.values.truncate(start);
        Err(reader.fail("", |reader| {
            let names = shown(&reader.names.all().join(", "));
            Problem::of_field("", format!("it has {found}, and the model takes {width}"))
                .hint(format!("in this order: {names}; null where one is missing"))
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        let (start, width) = (reader.values.len(), reader.width());
        reader.values.resize(start + width, f64::NAN);
        reader.seen.fill(false);
        let fail = |reader: &mut Reader<'_>, name: &str, problem: Problem| {
            reader.values.truncate(start);
            Err(reader.fail(&format!(".{}", shown(name)), |_| problem))
        };
        let mut expected = 0;
        while let Some(place) = cells.next_key_seed(KeySeed { names: reader.names, expected })? {
            let place = match place {
                Key::Place(place) => place,
                Key::Unknown(name) => {
                    let known = reader.names.all();
                    let nearest = did_you_mean(&name, known.iter().map(String::as_str));
                    let hint = nearest.unwrap_or_else(|| format!("it has {}", shown(&known.join(", "))));
                    let problem = Problem::of_field("", "the model has no such feature").hint(hint);
                    return fail(reader, &name, problem);
                }
            };
            let names = reader.names.all();
            if std::mem::replace(&mut reader.seen[place], true) {
                return fail(reader, &names[place], Problem::of_field("", "it is there twice"));
            }
            match cells.next_value_seed(Cell) {
                Ok(value) => reader.values[start + place] = value,
                Err(error) => return fail(reader, &names[place], no_number(&error)),
            }
            expected = place + 1;
        }
        Ok(())
    }
}

/// What is wrong with a cell.
fn no_number(error: &impl fmt::Display) -> Problem {
    let hint = "write a number, or null where it is missing";
    if error.to_string().starts_with("number out of range") {
        return Problem::of_field("", "it is too large for a double").hint(hint);
    }
    Problem::of_field("", "it is no number").hint(hint)
}

/// A feature's name in a row: its place or, where the model has no such feature, the name.
enum Key {
    Place(usize),
    Unknown(String),
}

/// Reads a [`Key`].
struct KeySeed<'a> {
    names: &'a FeatureNames,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Key, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a feature's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(self.names.place(name, self.expected).map_or_else(|| Key::Unknown(name.to_owned()), Key::Place))
    }
}

/// A number, or null.
struct Cell;

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<f64, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Cell {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or null")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Vec<f64>, Problem> {
        let names = FeatureNames::new(["cpu", "mem", "nét"].map(str::to_owned).to_vec());
        read(serde_json::from_str(json).unwrap(), &names, Limits { rows: 4, values: 10 })
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| if value.is_nan() { f64::NAN } else { *value }.to_bits()).collect()
    }

    #[test]
    fn rows_are_lists_or_objects() {
        let nan = f64::NAN;
        for (json, values) in [
            ("[[1,2.5,-3e2]]", &[1.0, 2.5, -300.0][..]),
            ("[[null,18446744073709551615,-0.0]]", &[nan, 18_446_744_073_709_551_615.0, -0.0]),
            ("[[0.1,123456789012345678901234567890,1]]", &[0.1, 123_456_789_012_345_678_901_234_567_890.0, 1.0]),
            (r#"[{"cpu":1,"mem":2,"nét":3}]"#, &[1.0, 2.0, 3.0]),
            (r#"[{"n\u00e9t":3,"cpu":1},{},{"mem":null}]"#, &[1.0, nan, 3.0, nan, nan, nan, nan, nan, nan]),
            (r#"[[1,2,3],{"mem":5}]"#, &[1.0, 2.0, 3.0, nan, 5.0, nan]),
        ] {
            assert_eq!(bits(&parse(json).unwrap()), bits(values), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let long = format!("[{{\"{}\":1}}]", "x".repeat(10_000));
        for (json, field, what) in [
            ("[]", "data", "no row"),
            ("{}", "data", "list of rows"),
            ("7", "data", "list of rows"),
            ("\"[[1]]\"", "data", "list of rows"),
            ("[7]", "data[0]", "no row"),
            ("[[1,2,3],null]", "data[1]", "no row"),
            ("[\"x\"]", "data[0]", "no row"),
            ("[[]]", "data[0]", "0 values, and the model takes 3"),
            ("[[1,2,3],[1,2]]", "data[1]", "2 values"),
            ("[[1,2,3,4]]", "data[0]", "more than 3 values"),
            ("[[1,2,3],[1,\"x\",3]]", "data[1][1]", "no number"),
            ("[[1,2,[3]]]", "data[0][2]", "no number"),
            ("[[1,2,{}]]", "data[0][2]", "no number"),
            ("[[true,2,3]]", "data[0][0]", "no number"),
            ("[[1e999,2,3]]", "data[0][0]", "too large"),
            ("[[1,2,3],{\"mem\":-1e999}]", "data[1].mem", "too large"),
            ("[{\"cpu\":\"1\"}]", "data[0].cpu", "no number"),
            ("[{\"cpuu\":1}]", "data[0].cpuu", "no such feature"),
            ("[{\"cpu\":1,\"cpu\":1}]", "data[0].cpu", "twice"),
            ("[[1,2,3],[1,2,3],[1,2,3],[1,2,3]]", "data[3]", "more than 10 values"),
            (&long, &*format!("data[0].{}…", "x".repeat(100)), "no such feature"),
        ] {
            let problem = parse(json).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{json}: {problem}");
            assert!(problem.error.contains(what), "{json}: {problem}");
        }
        assert_eq!(parse("[{\"cpuu\":1}]").unwrap_err().hint.unwrap(), "did you mean `cpu`?");
        assert!(parse("[{\"zz\":1}]").unwrap_err().hint.unwrap().contains("cpu, mem"));
        let rows = Limits { rows: 1, values: 100 };
        let one = read(serde_json::from_str("[[1],[2]]").unwrap(), &FeatureNames::new(vec!["a".to_owned()]), rows);
        assert!(one.unwrap_err().error.contains("more than 1 rows"));
    }

    #[test]
    fn brackets_without_end_need_no_stack() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(parse(&deep).unwrap_err().status, 400);
    }
}
