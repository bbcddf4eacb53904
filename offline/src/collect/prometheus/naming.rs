//! Names of Prometheus series, as Telegraf's `inputs.prometheus` gives them.
//!
//! With `metric_version = 2` all are fields of one measurement, `prometheus`: the field is the metric's name, the tags are
//! its labels. With `metric_version = 1` the measurement is the metric's name and the field `gauge`, `counter` or `value`;
//! of a histogram or summary the fields are `sum`, `count` and its limits or quantiles.

use std::collections::{BTreeMap, HashMap};

/// The types of metrics, by name.
pub(super) type Types = HashMap<String, String>;

/// How series are named.
#[derive(Debug)]
pub(super) struct Names {
    /// Telegraf's `metric_version`: 1 or 2.
    pub(super) version: u8,
    /// The measurement of version 2.
    pub(super) measurement: String,
    /// The types, for version 1.
    pub(super) types: Types,
}

/// The name of a series.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) measurement: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) field: String,
}

/// Labels with numbers, which Telegraf formats anew.
const NUMERIC_LABELS: [&str; 2] = ["le", "quantile"];

impl Names {
    /// The name of a series with these labels; `None` without `__name__`.
    pub(super) fn of(&self, mut labels: BTreeMap<String, String>) -> Option<Name> {
        let name = labels.remove("__name__")?;
        for label in NUMERIC_LABELS {
            if let Some(value) = labels.get_mut(label)
                && let Ok(number) = value.parse()
            {
                *value = as_go_writes(number);
            }
        }
        if self.version == 2 {
            return Some(Name { measurement: self.measurement.clone(), tags: labels, field: name });
        }
        let plain = |field: &str, tags| Name { measurement: name.clone(), tags, field: field.to_owned() };
        let of = |kind: &str| self.types.get(kind).map(String::as_str);
        match of(&name).or_else(|| of(name.strip_suffix("_total")?)) {
            Some("counter") => return Some(plain("counter", labels)),
            Some("gauge") => return Some(plain("gauge", labels)),
            Some("summary") if labels.contains_key("quantile") => {
                let field = labels.remove("quantile")?;
                return Some(plain(&field, labels));
            }
            Some(_) => return Some(plain("value", labels)),
            None => {}
        }
        let (base, part) = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|part| Some((name.strip_suffix(part)?, part)))
            .unwrap_or((&name, ""));
        let field = match part {
            "_bucket" => labels.remove("le"),
            "" => labels.remove("quantile"),
            part => Some(part[1..].to_owned()),
        };
        // Without a type, the name's suffix decides.
        Some(match field {
            Some(field) => Name { measurement: base.to_owned(), tags: labels, field },
            None if name.ends_with("_total") => plain("counter", labels),
            None => plain("gauge", labels),
        })
    }
}

/// A number as Go's `fmt.Sprint` writes it: an exponent from a million on.
fn as_go_writes(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        exponent if number == 0.0 || (-4..6).contains(&exponent) => number.to_string(),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn named(version: u8, types: &[(&str, &str)], pairs: &[(&str, &str)]) -> Option<(String, String, String)> {
        let types = types.iter().map(|&(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        let names = Names { version, measurement: "prometheus".to_owned(), types };
        let Name { measurement, tags, field } = names.of(labels(pairs))?;
        let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Some((measurement, tags.join(","), field))
    }

    #[test]
    fn version_2_has_a_field_for_each_metric() {
        let name = |pairs: &[(&str, &str)]| named(2, &[], pairs).map(|(m, tags, field)| format!("{m} {tags} {field}"));
        assert_eq!(name(&[("__name__", "up"), ("job", "a")]).as_deref(), Some("prometheus job=a up"));
        let bucket = [("__name__", "d_bucket"), ("le", "1.0")];
        assert_eq!(name(&bucket).as_deref(), Some("prometheus le=1 d_bucket"));
        assert_eq!(name(&[("job", "a")]), None);
    }

    #[test]
    fn version_1_has_a_measurement_for_each_metric() {
        let types =
            [("up", "gauge"), ("hits_total", "counter"), ("jobs", "counter"), ("x", "unknown"), ("s", "summary")];
        for (pairs, name) in [
            (&[("__name__", "up"), ("job", "a")][..], ("up", "job=a", "gauge")),
            (&[("__name__", "hits_total")], ("hits_total", "", "counter")),
            (&[("__name__", "jobs_total")], ("jobs_total", "", "counter")),
            (&[("__name__", "x")], ("x", "", "value")),
            (&[("__name__", "s"), ("quantile", "0.99")], ("s", "", "0.99")),
            (&[("__name__", "s_sum"), ("a", "b")], ("s", "a=b", "sum")),
            (&[("__name__", "h_bucket"), ("le", "1e7")], ("h", "", "1e+07")),
            (&[("__name__", "h_bucket"), ("le", "+Inf")], ("h", "", "+Inf")),
            (&[("__name__", "h_count")], ("h", "", "count")),
            (&[("__name__", "new_total")], ("new_total", "", "counter")),
            (&[("__name__", "new")], ("new", "", "gauge")),
        ] {
            let (measurement, tags, field) = named(1, &types, pairs).unwrap();
            assert_eq!((measurement.as_str(), tags.as_str(), field.as_str()), name, "{pairs:?}");
        }
    }

    /// As `fmt.Sprint` of Go 1.26 does.
    #[test]
    fn numbers_are_as_go_writes_them() {
        for (number, text) in [
            (100_000.0, "100000"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.5, "0.5"),
            (1.0, "1"),
            (0.0, "0"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(as_go_writes(number), text);
        }
    }
}
