//! A metric, independent of its encoding, and its numbers that are scored.

use std::io::Write as _;

use qualm_pipeline::field::Field;

/// A metric. The codecs hold the positions of its parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Metric {
    pub(super) kind: Kind,
    /// The interval of its value, in milliseconds; 0 if it has none.
    pub(super) interval: f64,
    /// Nanoseconds since 1970.
    pub(super) time: Option<i64>,
    pub(super) value: Value,
    /// Whether it is a verdict, or has one.
    pub(super) scored: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Incremental,
    Absolute,
}

/// The value of a metric. The pairs of a distribution, histogram or summary are stored separately.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Value {
    /// None, or of an unknown kind.
    #[default]
    Unknown,
    Counter(f64),
    Gauge(f64),
    /// The number of values.
    Set(usize),
    /// Pairs of a value and how often it was seen.
    Distribution,
    /// Pairs of an upper limit and how many values lie below it and above the last one.
    Histogram {
        count: f64,
        sum: f64,
    },
    /// Pairs of a quantile and its value.
    Summary {
        count: f64,
        sum: f64,
    },
    Sketch {
        count: f64,
        min: f64,
        max: f64,
        avg: f64,
    },
}

/// The names of fields, at the beginning of the text.
pub(super) const NAMES: &[u8] = b"value rate avg min max quantile_0.95 quantile_0.99 ";

/// Offset and length of each name.
const VALUE: (u32, u32) = (0, 5);
const RATE: (u32, u32) = (6, 4);
const AVG: (u32, u32) = (11, 3);
const MIN: (u32, u32) = (15, 3);
const MAX: (u32, u32) = (19, 3);
const QUANTILES: [(f64, (u32, u32)); 2] = [(0.95, (23, 13)), (0.99, (37, 13))];

/// The most quantiles of a summary that are scored, and the longest name of one. No useful summary has more.
const MAX_QUANTILES: usize = 32;
const MAX_QUANTILE_NAME: usize = 24;

/// Appends the fields of a metric, except for counters, of which [`append_rate`] does. It sorts `pairs`. Names that are not in
/// [`NAMES`] are appended to `text`.
pub(super) fn append_fields(value: Value, pairs: &mut Vec<(f64, f64)>, text: &mut Vec<u8>, fields: &mut Vec<Field>) {
    let mut push_field = |(key, key_len): (u32, u32), value: f64| {
        if value.is_finite() {
            // Protocol buffers do not distinguish -0 from 0.
            fields.push(Field { key, key_len, boolean: false, value: value + 0.0 });
        }
    };
    match value {
        Value::Unknown | Value::Counter(_) => {}
        Value::Gauge(value) => push_field(VALUE, value),
        Value::Set(count) => push_field(VALUE, count as f64),
        Value::Distribution => {
            pairs.retain(|&(_, rate)| rate > 0.0);
            pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let (count, sum) = pairs.iter().fold((0.0, 0.0), |(n, sum), (value, rate)| (n + rate, sum + value * rate));
            push_field(AVG, sum / count);
            for (at, name) in QUANTILES {
                push_field(name, sample_quantile(pairs, at, count));
            }
        }
        Value::Histogram { count, sum } => {
            pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            push_field(AVG, sum / count);
            for (at, name) in QUANTILES {
                push_field(name, bucket_quantile(pairs, at, count));
            }
        }
        Value::Summary { count, sum } => {
            push_field(AVG, sum / count);
            for &(quantile, value) in pairs.iter().take(MAX_QUANTILES).filter(|(at, _)| (0.0..=1.0).contains(at)) {
                let start = text.len();
                // As Vector's sink for InfluxDB names them. Writing to memory does not fail.
                let _infallible = write!(text, "quantile_{quantile}");
                if text.len() - start > MAX_QUANTILE_NAME {
                    text.truncate(start);
                } else {
                    push_field((start as u32, (text.len() - start) as u32), value);
                }
            }
        }
        Value::Sketch { count, min, max, avg } if count > 0.0 => {
            push_field(AVG, avg);
            push_field(MIN, min);
            push_field(MAX, max);
        }
        Value::Sketch { .. } => {}
    }
}

/// Appends the rate of a counter, per second.
pub(super) fn append_rate(fields: &mut Vec<Field>, rate: f64) {
    if rate.is_finite() {
        fields.push(Field { key: RATE.0, key_len: RATE.1, boolean: false, value: rate });
    }
}

/// The quantile of sorted pairs of value and count: the value with the nearest rank, as in Vector's sinks. NaN without values.
fn sample_quantile(samples: &[(f64, f64)], quantile: f64, count: f64) -> f64 {
    let rank = libm::round(quantile * count);
    let mut below = 0.0;
    let reaches = |&(_, rate): &(f64, f64)| {
        below += rate;
        below >= rank
    };
    samples.iter().copied().find(reaches).or(samples.last().copied()).map_or(f64::NAN, |(value, _)| value)
}

/// The quantile of values in buckets, as in Prometheus: values are evenly distributed in a bucket; the lowest one begins at 0,
/// unless it ends below; values in the highest one, which has no limit, are at its beginning. That bucket may be missing: Vector's
/// sources for Prometheus omit it, and only `count` includes its values. NaN if it is unknown.
fn bucket_quantile(buckets: &[(f64, f64)], quantile: f64, count: f64) -> f64 {
    let rank = quantile * buckets.iter().map(|(_, count)| count).sum::<f64>().max(count);
    let (mut below, mut lower) = (0.0, f64::NAN);
    for &(limit, count) in buckets.iter().filter(|(limit, _)| limit.is_finite()) {
        if count > 0.0 && below + count >= rank {
            let lower = if lower.is_nan() { limit.min(0.0) } else { lower };
            return lower + (limit - lower) * ((rank - below) / count);
        }
        below += count;
        lower = limit;
    }
    if rank > 0.0 { lower } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_of(value: Value, pairs: &[(f64, f64)]) -> Vec<(String, f64)> {
        let (mut text, mut out) = (NAMES.to_vec(), Vec::new());
        append_fields(value, &mut pairs.to_vec(), &mut text, &mut out);
        out.iter().map(|field| (String::from_utf8_lossy(field.key(&text)).into_owned(), field.value)).collect()
    }

    fn named(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
        expected.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn one_number_is_a_value() {
        for value in [Value::Gauge(3.0), Value::Set(3)] {
            assert_eq!(fields_of(value, &[]), named(&[("value", 3.0)]));
        }
        assert!(fields_of(Value::Gauge(f64::NAN), &[]).is_empty() && fields_of(Value::Counter(3.0), &[]).is_empty());
        let mut out = Vec::new();
        append_rate(&mut out, 2.5);
        append_rate(&mut out, f64::NAN);
        assert_eq!((out.len(), out[0].key(NAMES), out[0].value.to_bits()), (1, &b"rate"[..], 2.5_f64.to_bits()));
    }

    #[test]
    fn samples_are_weighed() {
        // Of 100 values the 95th and the 99th: 90 ones, 8 twos, 2 nines.
        let samples = [(9.0, 2.0), (1.0, 90.0), (2.0, 8.0), (77.0, 0.0)];
        let expected = [("avg", 1.24), ("quantile_0.95", 2.0), ("quantile_0.99", 9.0)];
        assert_eq!(fields_of(Value::Distribution, &samples), named(&expected));
        let expected = [("avg", 5.0), ("quantile_0.95", 5.0), ("quantile_0.99", 5.0)];
        assert_eq!(fields_of(Value::Distribution, &[(5.0, 3.0)]), named(&expected));
        assert!(fields_of(Value::Distribution, &[]).is_empty());
        assert!(fields_of(Value::Distribution, &[(f64::NAN, 1.0)]).is_empty());
    }

    #[test]
    fn values_lie_evenly_in_their_bucket() {
        // 100 values: 90 to 1, 9 to 2, 1 beyond.
        let buckets = [(1.0, 90.0), (2.0, 9.0), (f64::INFINITY, 1.0)];
        let value = Value::Histogram { count: 100.0, sum: 250.0 };
        let expected = [("avg", 2.5), ("quantile_0.95", 1.0 + 5.0 / 9.0), ("quantile_0.99", 2.0)];
        assert_eq!(fields_of(value, &buckets), named(&expected));
        let beyond = [(1.0, 1.0), (f64::INFINITY, 99.0)];
        assert_eq!(fields_of(value, &beyond)[1..], named(&[("quantile_0.95", 1.0), ("quantile_0.99", 1.0)]));
        // The last bucket may be given by the count alone.
        let whole = [(1.0, 90.0), (2.0, 9.0)];
        assert_eq!(fields_of(value, &whole), named(&expected));
        assert_eq!(fields_of(value, &[(1.0, 1.0)])[1..], named(&[("quantile_0.95", 1.0), ("quantile_0.99", 1.0)]));
        // The lowest bucket begins at 0, a negative one nowhere.
        assert_eq!(fields_of(value, &[(10.0, 100.0)])[1..], named(&[("quantile_0.95", 9.5), ("quantile_0.99", 9.9)]));
        assert_eq!(fields_of(value, &[(-1.0, 100.0)])[1..], named(&[("quantile_0.95", -1.0), ("quantile_0.99", -1.0)]));
        let empty = [(1.0, 0.0), (f64::INFINITY, 0.0)];
        assert!(fields_of(Value::Histogram { count: 0.0, sum: 0.0 }, &empty).is_empty());
        // Only the bucket without a limit: nothing is known but the mean.
        assert_eq!(fields_of(value, &[(f64::INFINITY, 100.0)]), named(&[("avg", 2.5)]));
    }

    #[test]
    fn a_summary_has_its_own_quantiles() {
        let value = Value::Summary { count: 4.0, sum: 10.0 };
        let pairs = [(0.5, 2.0), (0.999, 7.0), (1e-300, 1.0), (1.5, 1.0), (0.9, f64::NAN), (1.0, 8.0)];
        let expected = [("avg", 2.5), ("quantile_0.5", 2.0), ("quantile_0.999", 7.0), ("quantile_1", 8.0)];
        assert_eq!(fields_of(value, &pairs), named(&expected));
    }

    #[test]
    fn an_empty_sketch_says_nothing() {
        let sketch = |count| Value::Sketch { count, min: 1.0, max: 9.0, avg: 4.0 };
        assert_eq!(fields_of(sketch(3.0), &[]), named(&[("avg", 4.0), ("min", 1.0), ("max", 9.0)]));
        assert!(fields_of(sketch(0.0), &[]).is_empty());
    }
}
