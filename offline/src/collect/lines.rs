//! Writes line protocol.
//!
//! Names have only spaces, commas and equals signs escaped (in a measurement, no equals sign), so that `InfluxDB` and
//! Telegraf read them alike. A name that ends in a backslash or has a line break cannot be represented.

use std::fmt::Write as _;

use crate::history::{NAME_SPECIALS, put_escaped};

/// Line protocol cannot represent a name or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotRepresentable;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Float,
    Integer,
    Unsigned,
    Text,
    Boolean,
}

impl Kind {
    /// Whether it is a number, which has a mean.
    pub(super) const fn is_numeric(self) -> bool {
        matches!(self, Self::Float | Self::Integer | Self::Unsigned)
    }
}

/// Appends a measurement and its tags; a tag without a value is left out.
pub(super) fn put_head<'a>(
    out: &mut Vec<u8>,
    measurement: &str,
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), NotRepresentable> {
    if measurement.starts_with('#') {
        return Err(NotRepresentable); // a comment
    }
    put_name(out, measurement, b", ")?;
    for (key, value) in tags.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push(b',');
        put_name(out, key, NAME_SPECIALS)?;
        out.push(b'=');
        put_name(out, value, NAME_SPECIALS)?;
    }
    Ok(())
}

/// Appends a field's key and the equals sign; a comma goes before all but the first.
pub(super) fn put_key(out: &mut Vec<u8>, key: &str) -> Result<(), NotRepresentable> {
    if !out.is_empty() {
        out.push(b',');
    }
    put_name(out, key, NAME_SPECIALS)?;
    out.push(b'=');
    Ok(())
}

/// Appends a value: the digits of a number unchanged, a text with escapes.
pub(super) fn put_value(out: &mut Vec<u8>, kind: Kind, value: &str) {
    match kind {
        Kind::Float | Kind::Boolean => out.extend_from_slice(value.as_bytes()),
        Kind::Integer => out.extend(value.bytes().chain([b'i'])),
        Kind::Unsigned => out.extend(value.bytes().chain([b'u'])),
        Kind::Text => {
            out.push(b'"');
            put_escaped(out, value, b"\"\\");
            out.push(b'"');
        }
    }
}

fn put_name(out: &mut Vec<u8>, name: &str, special: &[u8]) -> Result<(), NotRepresentable> {
    if name.is_empty() || name.ends_with('\\') || name.contains(['\n', '\r']) {
        return Err(NotRepresentable);
    }
    put_escaped(out, name, special);
    Ok(())
}

/// The first names of a list, for an error.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().take(20).enumerate() {
        let _infallible = write!(text, "{}`{name}`", if at == 0 { "" } else { ", " });
    }
    if names.len() > 20 {
        let _infallible = write!(text, " and {} more", names.len() - 20);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_line_protocol_needs() {
        let mut out = Vec::new();
        put_head(&mut out, r#"we ird"m',x=y"#, [("tag=k", r"v x\,"), ("none", "")]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"we\ ird"m'\,x=y,tag\=k=v\ x\\,"#);
        for name in ["", "a\\", "a\nb"] {
            assert_eq!(put_head(&mut Vec::new(), name, []), Err(NotRepresentable), "{name:?}");
            assert_eq!(put_key(&mut Vec::new(), name), Err(NotRepresentable), "{name:?}");
        }
        assert_eq!(put_head(&mut Vec::new(), "#m", []), Err(NotRepresentable));
    }

    #[test]
    fn values_keep_their_digits_and_types() {
        for (kind, value, line) in [
            (Kind::Float, "1e+21", "1e+21"),
            (Kind::Integer, "-9007199254740993", "-9007199254740993i"),
            (Kind::Unsigned, "18446744073709551615", "18446744073709551615u"),
            (Kind::Boolean, "true", "true"),
            (Kind::Text, "a \"b\" \\ \n", "\"a \\\"b\\\" \\\\ \n\""),
        ] {
            let mut out = Vec::new();
            put_value(&mut out, kind, value);
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }
}
