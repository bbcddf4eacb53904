//! Local time: its offset from UTC over time.
//!
//! A guest has no database of time zones. The host puts the offsets of a zone into the model.

use qualm_contract::Error;

use super::record::take;
use crate::model::{Model, Writer};

/// The default zone.
const UTC: &str = "UTC";

/// The names of a zone's parts in a model: the name, the times from which offsets hold, and the offsets in seconds.
const NAME: &str = "timezone";
const FROM: &str = "offset_from";
const OFFSET: &str = "offset";

/// The most offsets. Two a year from 1970 to 2100 make 261; Hebron, whose clocks also change for Ramadan, has 301.
const MAX_OFFSETS: usize = 512;

/// The largest offset, in seconds: more than any zone has.
const MAX_OFFSET: i64 = 26 * 3600;

/// The longest name, in bytes.
const MAX_NAME_LENGTH: usize = 64;

/// A time zone: its name, and its offsets from UTC over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Empty for UTC.
    name: String,
    /// Times (seconds since 1970) and from then on the seconds that local time is ahead of UTC. The first offset also holds
    /// before its time. Empty for UTC.
    offsets: Vec<(i64, i64)>,
}

/// Why a time zone is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Its name is empty, longer than 64 bytes, or not of graphic ASCII characters.
    #[error("`{0}` is no name of a time zone")]
    Name(String),
    /// It is UTC, with offsets.
    #[error("UTC has no offsets")]
    UtcOffsets,
    /// It has no offsets, or too many.
    #[error("{name} has {offsets} offsets; 1 to {MAX_OFFSETS} are possible")]
    Count {
        /// The zone.
        name: String,
        /// How many it has.
        offsets: usize,
    },
    /// An offset is too large.
    #[error("{name} is {offset} seconds ahead of UTC; 26 hours are possible either way")]
    Offset {
        /// The zone.
        name: String,
        /// The offset, in seconds.
        offset: i64,
    },
    /// The times of its offsets do not ascend.
    #[error("the offsets of {0} are not in the order of time")]
    Order(String),
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self { name: String::new(), offsets: Vec::new() };

    /// A zone with this name and these offsets: times (seconds since 1970) and from then on the seconds that local time is
    /// ahead of UTC.
    ///
    /// # Errors
    ///
    /// What is wrong with the name or the offsets.
    pub fn new(name: &str, offsets: Vec<(i64, i64)>) -> Result<Self, ZoneError> {
        if !(1..=MAX_NAME_LENGTH).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ZoneError::Name(name.to_owned()));
        }
        if name == UTC {
            return Err(ZoneError::UtcOffsets);
        }
        if !(1..=MAX_OFFSETS).contains(&offsets.len()) {
            return Err(ZoneError::Count { name: name.to_owned(), offsets: offsets.len() });
        }
        if let Some(&(_, offset)) = offsets.iter().find(|(_, offset)| !(-MAX_OFFSET..=MAX_OFFSET).contains(offset)) {
            return Err(ZoneError::Offset { name: name.to_owned(), offset });
        }
        if !offsets.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(ZoneError::Order(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), offsets })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.offsets.is_empty() { UTC } else { &self.name }
    }

    /// Writes it to a model; UTC writes nothing.
    pub(super) fn write_model(&self, model: &mut Writer) {
        if !self.offsets.is_empty() {
            let (from, ahead): (Vec<_>, Vec<_>) = self.offsets.iter().copied().unzip();
            model.set(NAME, &self.name).times(FROM, &from).times(OFFSET, &ahead);
        }
    }

    /// The zone of a model.
    ///
    /// # Errors
    ///
    /// [`Error::BadModel`] where it has one that is impossible.
    pub(super) fn read_model(model: &Model<'_>) -> Result<Self, Error> {
        let Some(name) = model.optional(NAME) else { return Ok(Self::UTC) };
        let (from, ahead) = (model.times(FROM)?, model.times(OFFSET)?);
        if from.len() != ahead.len() {
            let what = format!("its `{FROM}` has {} times for {} offsets", from.len(), ahead.len());
            return Err(Error::BadModel(what));
        }
        Self::new(name, from.into_iter().zip(ahead).collect())
            .map_err(|error| Error::BadModel(format!("its zone: {error}")))
    }

    /// Appends the name to saved state. A profile is valid in its zone only; new rules for the zone do not change it.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let name = self.name();
        out.push(name.len() as u8); // at most `MAX_NAME_LENGTH`
        out.extend_from_slice(name.as_bytes());
    }

    /// Reads the name from the front of saved state; `None` where there is none.
    pub(super) fn read_state<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
        let [length] = take(bytes)?;
        let (name, rest) = bytes.split_at_checked(length.into())?;
        *bytes = rest;
        std::str::from_utf8(name).ok()
    }
}

/// Converts to local time. It caches the current offset, so that rows in order seldom search the offsets.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    zone: Zone,
    /// The last offset, and the times between which it holds.
    offset: i64,
    from: i64,
    to: i64,
}

impl Clock {
    pub(super) fn new(zone: Zone) -> Self {
        Self { zone, offset: 0, from: 0, to: 0 }
    }

    /// Seconds since 1970, in local time.
    pub(super) fn local(&mut self, seconds: i64) -> i64 {
        if !(self.from..self.to).contains(&seconds) {
            self.find_offset(seconds);
        }
        seconds.saturating_add(self.offset)
    }

    /// Finds the offset that holds at a time.
    fn find_offset(&mut self, seconds: i64) {
        let offsets = &self.zone.offsets;
        let next = offsets.partition_point(|(from, _)| *from <= seconds).max(1);
        self.from = if next == 1 { i64::MIN } else { offsets[next - 1].0 };
        self.to = offsets.get(next).map_or(i64::MAX, |(from, _)| *from);
        self.offset = offsets.get(next - 1).map_or(0, |(_, offset)| *offset);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 1:00 UTC on 29 March 2026 and on 25 October 2026: summer time begins and ends in the European Union.
    pub(in super::super) const SPRING: i64 = 1_774_746_000;
    pub(in super::super) const AUTUMN: i64 = 1_792_890_000;

    pub(in super::super) fn berlin() -> Zone {
        Zone::new("Europe/Berlin", vec![(0, 3600), (SPRING, 7200), (AUTUMN, 3600)]).unwrap()
    }

    #[test]
    fn local_time_changes_to_the_second_whichever_way_times_go() {
        let mut clock = Clock::new(berlin());
        let mut ahead = |time: i64| clock.local(time) - time;
        let times = [
            (-i64::from(i32::MAX), 3600),
            (-1, 3600),
            (0, 3600),
            (SPRING - 1, 3600),
            (SPRING, 7200),
            (AUTUMN - 1, 7200),
            (AUTUMN, 3600),
            (AUTUMN + 1_000_000_000, 3600),
        ];
        for (time, offset) in times.into_iter().chain(times.into_iter().rev()) {
            assert_eq!(ahead(time), offset, "{time}");
        }
        assert_eq!((ahead(i64::MIN), ahead(SPRING)), (3600, 7200));
    }

    #[test]
    fn utc_is_never_ahead() {
        let mut clock = Clock::new(Zone::UTC);
        for time in [0, -1, SPRING, i64::MAX, i64::MIN] {
            assert_eq!(clock.local(time), time);
        }
        assert_eq!(Zone::default().name(), "UTC");
    }

    #[test]
    fn a_zone_comes_back_from_a_model() {
        for zone in [Zone::UTC, berlin(), Zone::new("Etc/GMT-14", vec![(0, 50_400)]).unwrap()] {
            let mut writer = Writer::default();
            zone.write_model(&mut writer);
            assert_eq!(Zone::read_model(&Model::read(&writer.finish()).unwrap()).unwrap(), zone);
        }
    }

    #[test]
    fn a_zone_that_cannot_be_is_a_bad_model() {
        let (many, ordered): (Vec<_>, Vec<_>) = (0..513).map(|at| (0, at)).unzip();
        let long = "x".repeat(65);
        for (name, from, offsets, what) in [
            ("", &[0][..], &[0][..], "no name"),
            ("Europe/Ber lin", &[0], &[0], "no name"),
            ("Europe/Bérlin", &[0], &[0], "no name"),
            (&long, &[0], &[0], "no name"),
            ("UTC", &[0], &[3600], "UTC has no offsets"),
            ("A", &[], &[], "has 0 offsets"),
            ("A", &ordered, &many, "has 513 offsets"),
            ("A", &[0], &[93_601], "93601 seconds ahead"),
            ("A", &[0], &[-93_601], "-93601 seconds ahead"),
            ("A", &[0], &[i64::MIN], "seconds ahead"),
            ("A", &[1, 0], &[0, 0], "not in the order of time"),
            ("A", &[1, 1], &[0, 0], "not in the order of time"),
            ("A", &[0, 1], &[0], "2 times for 1 offsets"),
        ] {
            let mut writer = Writer::default();
            writer.set(NAME, name).times(FROM, from).times(OFFSET, offsets);
            let bytes = writer.finish();
            let error = Zone::read_model(&Model::read(&bytes).unwrap()).unwrap_err();
            assert!(matches!(&error, Error::BadModel(text) if text.contains(what)), "{name} {from:?}: {error:?}");
        }
        let mut writer = Writer::default();
        writer.set(NAME, "A");
        assert!(
            matches!(Zone::read_model(&Model::read(&writer.finish()).unwrap()), Err(Error::BadModel(_))),
            "no offsets"
        );
    }

    #[test]
    fn a_name_comes_back_from_saved_state() {
        let mut bytes = Vec::new();
        berlin().write_state(&mut bytes);
        bytes.push(7);
        let rest = &mut bytes.as_slice();
        assert_eq!((Zone::read_state(rest), *rest), (Some("Europe/Berlin"), &[7][..]));
        for damaged in [&[][..], &[3, b'U'], &[1, 0xff]] {
            assert_eq!(Zone::read_state(&mut &*damaged), None);
        }
    }
}
