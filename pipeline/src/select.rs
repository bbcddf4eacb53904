//! Selection of events and fields.

use crate::glob::Globs;
use crate::line;

/// What a detector selects. An empty part selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Measurements, by name.
    pub measurement: Globs,
    /// Tags that an event must have, each with a value that matches; any value matches if there are no globs.
    pub tags: Vec<(String, Globs)>,
    /// Fields to include, by name. Booleans are included only if a pattern here matches.
    pub include_fields: Globs,
    /// Fields to exclude, by name. It overrides `include_fields`.
    pub exclude_fields: Globs,
}

impl Selector {
    /// Whether an event with this head (measurement and tags, as in line protocol) is wanted.
    #[must_use]
    pub fn wants_event(&self, head: &[u8]) -> bool {
        let mut parts = line::head_parts(head);
        let measurement = parts.next().unwrap_or_default();
        if !self.measurement.is_empty() && !self.measurement.matches(&line::unescape(measurement)) {
            return false;
        }
        has_tags(head, &self.tags)
    }

    /// Whether a field with this key, as in line protocol, is wanted.
    #[must_use]
    pub fn wants_field(&self, key: &[u8]) -> bool {
        if self.include_fields.is_empty() && self.exclude_fields.is_empty() {
            return true;
        }
        let key = line::unescape(key);
        !self.exclude_fields.matches(&key) && (self.include_fields.is_empty() || self.include_fields.matches(&key))
    }
}

/// Whether a head has all these tags, each with a value that matches; any value matches if there are no globs.
pub(crate) fn has_tags(head: &[u8], wanted: &[(String, Globs)]) -> bool {
    wanted.iter().all(|(key, values)| {
        let mut tags = line::head_parts(head).skip(1).filter_map(line::tag);
        let fits = |value: &[u8]| values.is_empty() || values.matches(&line::unescape(value));
        tags.any(|(k, v)| line::unescape(k).as_ref() == key.as_bytes() && fits(v))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::new(patterns).unwrap()
    }

    #[test]
    fn an_empty_selector_wants_everything() {
        let all = Selector::default();
        assert!(all.wants_event(b"cpu,host=a") && all.wants_field(b"usage_idle"));
    }

    #[test]
    fn measurement_and_all_tags_must_match() {
        let selector = Selector {
            measurement: globs(&["cpu", "my disk"]),
            tags: vec![("host".into(), globs(&["web*"])), ("dc".into(), globs(&["a,b", "c"]))],
            ..Selector::default()
        };
        assert!(selector.wants_event(b"cpu,dc=c,host=web1"));
        assert!(selector.wants_event(br"my\ disk,host=web2,dc=a\,b"), "escapes are undone before matching");
        assert!(!selector.wants_event(b"mem,dc=c,host=web1"));
        assert!(!selector.wants_event(b"cpu,dc=c,host=db1"));
        assert!(!selector.wants_event(b"cpu,host=web1"), "a tag that is missing does not match");
        assert!(!selector.wants_event(b"cpu"));
        let any = Selector { tags: vec![("host".into(), Globs::default())], ..Selector::default() };
        assert!(any.wants_event(b"cpu,host=a") && !any.wants_event(b"cpu,dc=a"));
    }

    #[test]
    fn exclusion_is_stronger_than_inclusion() {
        let selector = Selector {
            include_fields: globs(&["usage_*"]),
            exclude_fields: globs(&["*_guest*"]),
            ..Selector::default()
        };
        assert!(selector.wants_field(b"usage_idle"));
        assert!(!selector.wants_field(b"usage_guest_nice"));
        assert!(!selector.wants_field(b"load1"));
        let without = Selector { include_fields: Globs::default(), ..selector };
        assert!(without.wants_field(b"load1") && !without.wants_field(b"usage_guest"));
    }
}
