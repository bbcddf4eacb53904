//! Texts of the configuration: how they are read, written, and explained where they are wrong.

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A text as the configuration writes it: a dollar in it is one, and no variable.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.replace('$', "$$")).to_string()
}

/// A number of bytes such as `64MiB`.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim() {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = unit.and_then(|unit: usize| text[..end].parse::<usize>().ok()?.checked_mul(unit));
    bytes.ok_or_else(|| de::Error::custom(format!("`{text}` is no size; write one like \"64MiB\" or \"1GiB\"")))
}

/// As [`bytes`] reads it.
pub(super) fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}MiB", bytes >> 20) } else { format!("{bytes}B") }
}

/// How alike two names must be for the one to be meant by the other: `mesurement` and `measurement` are at 0.97, names
/// that share some letters by chance at 0.6.
pub(super) const ALIKE: f64 = 0.75;

/// Serde's message in words for people, with the nearest known name where a key or a choice is not known. `written` is
/// what stands in the file.
pub(super) fn explain(message: &str, written: &str) -> String {
    if message.contains("expected a sequence") && !message.contains("map") {
        return "this must be a list, in brackets: [\"…\"]".to_owned(); // what stands there may be a secret
    }
    if message.contains("expected an array of length 2") {
        return format!("`{written}` must be two numbers, from which to which: [0.0, 80.0]");
    }
    if message.contains("expected a sequence") {
        return "this needs two brackets, as there may be several: `[[detector]]`".to_owned();
    }
    if message.starts_with("invalid type") {
        let number = ["expected f64", "expected u32", "expected usize"].iter().any(|kind| message.ends_with(kind));
        return match number {
            true => format!("`{written}` must be a number, without quotes"),
            false if message.ends_with("expected a string") => {
                format!(
                    "`{written}` must be in quotes, with its unit if it is a duration or a size: \"72h\", \"64MiB\"; and \
                     `sustained` is like \"3 of 5\""
                )
            }
            // Not what stands there: it may be a secret that got into the wrong place.
            false => message.rsplit_once(", expected ").map_or_else(
                || "this is of the wrong type".to_owned(),
                |(_, expected)| format!("this is of the wrong type; expected {expected}"),
            ),
        };
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let (true, Some(wrong)) = (message.starts_with("unknown "), names.next()) else {
        return message.to_owned();
    };
    let known: Vec<&str> = names.collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro(a, wrong).total_cmp(&strsim::jaro(b, wrong)));
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    let nearest = nearest.filter(|nearest| strsim::jaro(nearest, wrong) >= ALIKE);
    match nearest {
        None if what == "value" && known.contains(&"ensemble") => {
            format!(
                "unknown value `{wrong}`. Known here: {}; a detector that was trained or is a plugin has no kind, but \
                 `model = \"BUNDLE\"`",
                known.join(", ")
            )
        }
        _ if ["agent", "inputs", "outputs", "processors", "aggregators"].contains(&wrong) => {
            format!(
                "`{wrong}` belongs into Telegraf's configuration; this is qualm's. Known here: {}",
                known.join(", ")
            )
        }
        Some(nearest) => {
            format!("unknown {what} `{wrong}`; did you mean `{nearest}`? Known here: {}", known.join(", "))
        }
        None => format!("unknown {what} `{wrong}`. Known here: {}", known.join(", ")),
    }
}
