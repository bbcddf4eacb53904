//! Time zones by name, as the IANA database has them that is built in. The machine's own is not asked: scores would depend
//! on it.

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use qualm_core::streaming::{Zone, ZoneError};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::text::ALIKE;

/// The year in which the offsets end that a detector gets; the last one holds on.
const END: i16 = 2100;

/// How many names are suggested in place of one that is not known.
const SUGGESTED: usize = 3;

/// A text that names no time zone that can be used.
#[derive(Debug, thiserror::Error)]
enum NoZone {
    /// The database does not have it. `hint` is the end of the sentence: names that are near.
    #[error(
        "`{name}` is no time zone{hint} Names are those of the IANA database, like `Europe/Berlin`, or `UTC`: \
         https://en.wikipedia.org/wiki/List_of_tz_database_time_zones"
    )]
    Unknown { name: String, hint: String },
    /// The database cannot give its offsets.
    #[error(transparent)]
    Database(#[from] jiff::Error),
    /// The detector cannot take its offsets.
    #[error(transparent)]
    Offsets(#[from] ZoneError),
}

/// A time zone such as `Europe/Berlin`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
    find(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn find(name: &str) -> Result<Zone, NoZone> {
    let database = TimeZoneDatabase::bundled();
    let known = database.available().find(|known| known.as_str().eq_ignore_ascii_case(name));
    let Some(known) = known else { return Err(unknown(name, &database)) };
    let zone = database.get(known.as_str())?;
    if known.as_str() == Zone::UTC.name() {
        return Ok(Zone::UTC);
    }
    Ok(Zone::new(known.as_str(), offsets(&zone))?)
}

/// From when on local time is how many seconds ahead of UTC.
fn offsets(zone: &TimeZone) -> Vec<(i64, i64)> {
    let begin = Timestamp::UNIX_EPOCH;
    let changes = zone.following(begin).map(|change| (change.timestamp().as_second(), change.offset()));
    let changes = changes.take_while(|&(from, _)| from < end());
    let all = [(begin.as_second(), zone.to_offset(begin))].into_iter().chain(changes);
    let mut offsets: Vec<_> = all.map(|(from, offset)| (from, i64::from(offset.seconds()))).collect();
    offsets.dedup_by_key(|(_, offset)| *offset); // only the zone's abbreviation changes
    offsets
}

fn end() -> i64 {
    TimeZone::UTC.to_timestamp(date(END, 1, 1).at(0, 0, 0, 0)).map_or(i64::MAX, Timestamp::as_second)
}

/// Says what may be meant. A city alone is enough for that.
fn unknown(name: &str, database: &TimeZoneDatabase) -> NoZone {
    let wanted = name.to_lowercase();
    let mut near: Vec<(f64, String)> = database
        .available()
        // In `Etc/GMT+2` the sign is the other way round: nobody is to be led there.
        .filter(|known| !known.as_str().starts_with("Etc/"))
        .map(|known| {
            let lower = known.as_str().to_lowercase();
            let city = lower.rsplit('/').next().unwrap_or(&lower);
            (strsim::jaro(&lower, &wanted).max(strsim::jaro(city, &wanted)), known.to_string())
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|(one, name), (other, others_name)| other.total_cmp(one).then_with(|| name.cmp(others_name)));
    let near: Vec<_> = near.into_iter().take(SUGGESTED).map(|(_, name)| format!("`{name}`")).collect();
    let hint = if near.is_empty() { ".".to_owned() } else { format!("; did you mean {}?", near.join(" or ")) };
    NoZone::Unknown { name: name.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_change_when_the_law_says() {
        let berlin = find("Europe/Berlin").unwrap();
        let database = TimeZoneDatabase::bundled();
        let offsets = offsets(&database.get("Europe/Berlin").unwrap());
        assert_eq!(Zone::new("Europe/Berlin", offsets.clone()).unwrap(), berlin);
        // Summer time was tried from 1980 on; in 2026 it began on 29 March and ended on 25 October, at 1:00 UTC.
        assert_eq!(offsets[..2], [(0, 3600), (323_830_800, 7200)]);
        for change in [(1_774_746_000, 7200), (1_792_890_000, 3600)] {
            assert!(offsets.contains(&change), "{change:?}");
        }
        assert_eq!(offsets.len(), 1 + 2 * (END as usize - 1980));
        assert_eq!(offsets[offsets.len() - 1].1, 3600, "it ends in winter");
    }

    #[test]
    fn every_zone_can_be_handed_over() {
        let database = TimeZoneDatabase::bundled();
        let (mut zones, mut most) = (0, 0);
        for known in database.available() {
            find(known.as_str()).unwrap_or_else(|error| panic!("{known}: {error}"));
            most = most.max(offsets(&database.get(known.as_str()).unwrap()).len());
            zones += 1;
        }
        assert!(zones > 500 && most <= 400, "{zones} zones have up to {most} offsets; a model may have 512");
    }

    #[test]
    fn a_zone_has_the_offsets_of_the_database_at_any_time() {
        let database = TimeZoneDatabase::bundled();
        for name in ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"] {
            let zone = database.get(name).unwrap();
            let offsets = offsets(&zone);
            for hour in 0..(end() / 3600) {
                let now = hour * 3600;
                let ahead = offsets[offsets.partition_point(|(from, _)| *from <= now) - 1].1;
                let expected = zone.to_offset(Timestamp::from_second(now).unwrap()).seconds();
                assert_eq!(ahead, i64::from(expected), "{name} at {now}");
            }
        }
    }

    #[test]
    fn names_are_known_however_they_are_capitalized_and_nothing_else_is() {
        assert_eq!(find("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(find("utc").unwrap(), Zone::UTC);
        for (name, hint) in [
            ("Europe/Belin", "did you mean `Europe/Berlin`"),
            ("Berlin", "did you mean `Europe/Berlin`"),
            ("new york", "did you mean `America/New_York`"),
            ("", "is no time zone. Names"),
            ("Etc/Unknown", "is no time zone"),
            ("+02:00", "is no time zone. Names"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "is no time zone"),
            ("/usr/share/zoneinfo/Europe/Berlin", "is no time zone"),
        ] {
            let error = find(name).unwrap_err().to_string();
            assert!(error.contains(hint) && error.ends_with("time_zones"), "{error}");
        }
        assert!(!find("GMT+2").unwrap_err().to_string().contains("Etc/"));
    }
}
