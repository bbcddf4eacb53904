use std::fs;
use std::sync::Arc;
use std::time::Duration;

use qualm_pipeline::SeriesSnapshot;

use super::file::now_seconds;
use super::format::{Stored, decode, encode};
use super::merge::retain_recent;
use super::*;

const TTL: Duration = Duration::from_hours(1);

fn saved(name: &str, identity: u64, age: u32) -> Saved {
    let slice = SeriesSnapshot { identities: vec![identity, 77], ages: vec![age, age], state: b"state".to_vec() };
    vec![(name.to_owned(), vec![Arc::new(slice)])]
}

fn encoded(saved: &Saved, seed: u64, written: i64) -> Vec<u8> {
    let mut out = Vec::new();
    encode(saved, seed, written, &mut out).unwrap();
    out
}

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::open(dir.path(), 42).unwrap();
    assert_eq!(file.read_all(TTL), [], "a missing file is a fresh start");
    file.write(&saved("cpu", 1, 5)).unwrap();
    assert_eq!(file.read_all(TTL), saved("cpu", 1, 5));
    drop(file);
    let file = StateFile::open(dir.path(), 43).unwrap();
    assert_eq!((file.seed(), file.read_all(TTL)), (42, saved("cpu", 1, 5)));
    file.set_aside();
    assert_eq!(file.read_all(TTL), []);
    assert!(dir.path().join("qualm.state.damaged").exists());
}

#[test]
fn a_damaged_file_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::open(dir.path(), 42).unwrap();
    let whole = encoded(&saved("cpu", 1, 0), 42, 0);
    let longer = [&whole[..], b"x"].concat();
    for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", &longer, &encoded(&saved("cpu", 1, 0), 41, 0)] {
        fs::write(file.path(), damaged).unwrap();
        assert_eq!(file.read_all(TTL), []);
        assert_eq!(fs::read(dir.path().join("qualm.state.damaged")).unwrap(), damaged);
        assert!(!file.path().exists());
    }
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode(&damaged, 42), None);
    }
}

#[test]
fn each_process_writes_its_own_file_and_reads_all() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateFile::open(dir.path(), 1).unwrap();
    let second = StateFile::open(dir.path(), 2).unwrap();
    assert_eq!((second.path(), second.seed()), (dir.path().join("qualm-2.state").as_path(), 1));
    second.write(&saved("b", 2, 0)).unwrap();
    first.write(&saved("a", 1, 0)).unwrap();
    let both = [saved("a", 1, 0), saved("b", 2, 0)].concat();
    assert_eq!((first.read_all(TTL), second.read_all(TTL)), (both.clone(), both));
    drop(first);
    assert_eq!(StateFile::open(dir.path(), 3).unwrap().path(), dir.path().join("qualm.state"));
}

#[test]
fn whoever_saw_a_series_last_knows_it_best() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::open(dir.path(), 1).unwrap();
    // The second file is newer, and yet its series 77 was seen earlier, as it was only carried along.
    fs::write(dir.path().join("qualm.state"), encoded(&saved("a", 1, 10), 1, 1000)).unwrap();
    fs::write(dir.path().join("qualm-2.state"), encoded(&saved("a", 2, 60), 1, 1030)).unwrap();
    fs::write(dir.path().join("qualm-3.state"), encoded(&saved("a", 3, 0), 1, 1030 - 3601)).unwrap();
    let read = file.read_all(TTL);
    let mut identities: Vec<_> = read[0].1.iter().map(|slice| slice.identities.clone()).collect();
    identities.sort_unstable();
    assert_eq!(
        identities,
        [vec![1, 77], vec![2, SeriesSnapshot::SUPERSEDED]],
        "and a process that is no more is left out"
    );
}

#[test]
fn a_time_that_cannot_be_leaves_out_nothing_real() {
    let (now, ttl, year) = (2_000_000_000, 3600, 31_536_000);
    let kept = |written: &[i64]| {
        let mut files: Vec<_> = written.iter().map(|&written| Stored { written, detectors: Vec::new() }).collect();
        retain_recent(&mut files, now, ttl);
        files.iter().map(|file| file.written).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[now - 10, now + year]), [now - 10, now - 10 - ttl], "one from the future counts last");
    assert_eq!(kept(&[now - year, now + year]), [now - year, now - year - ttl], "however old the real one is");
    assert_eq!(kept(&[now + 5, now - 10, now - 7200]), [now + 5, now - 10], "clocks differ a little");
    assert_eq!(kept(&[now + year, now + 2 * year]), [now + year, now + 2 * year], "the clock was set back");
    assert_eq!(kept(&[i64::MAX, 0, i64::MIN]), [-ttl, 0]);
    assert!(kept(&[]).is_empty());
}

#[test]
fn the_freshest_real_state_survives_one_from_the_future() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::open(dir.path(), 1).unwrap();
    fs::write(dir.path().join("qualm-2.state"), encoded(&saved("a", 2, 0), 1, now_seconds() + 31_536_000)).unwrap();
    fs::write(dir.path().join("qualm-3.state"), encoded(&saved("a", 3, 0), 1, i64::MAX)).unwrap();
    for _start in 0..2 {
        file.write(&saved("a", 1, 5)).unwrap();
        let read = file.read_all(TTL);
        let known: Vec<u64> = read[0].1.iter().flat_map(|slice| slice.identities.clone()).collect();
        assert!([1, 2, 3].iter().all(|identity| known.contains(identity)), "{known:?}");
        let real = read[0].1.iter().find(|slice| slice.identities[0] == 1).unwrap();
        assert_eq!(real.identities[1], 77, "what all know is known best by the one whose time is real");
    }
    assert!(file.remaining_states().1 <= now_seconds());
}

#[test]
fn a_directory_that_was_removed_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state");
    let file = StateFile::open(&dir, 1).unwrap();
    file.write(&saved("a", 1, 0)).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    file.write(&saved("a", 2, 0)).unwrap();
    let other = StateFile::open(&dir, 2).unwrap();
    assert_eq!((other.path(), other.seed()), (dir.join("qualm-2.state").as_path(), 1), "lock and seed are there too");
    assert_eq!(other.read_all(TTL), saved("a", 2, 0));
    drop(other);
    // Others have begun anew there.
    fs::remove_dir_all(&dir).unwrap();
    let _other = StateFile::open(&dir, 3).unwrap();
    assert!(file.write(&saved("a", 2, 0)).unwrap_err().to_string().contains("another process'"));
}

#[test]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("target"), "precious").unwrap();
    for name in ["qualm.state", "qualm.state.new", "qualm-2.state"] {
        std::os::unix::fs::symlink("target", at(name)).unwrap();
    }
    let file = StateFile::open(dir.path(), 1).unwrap();
    assert_eq!(file.read_all(TTL), []);
    assert!(at("qualm.state.new").is_symlink());
    file.write(&saved("a", 1, 0)).unwrap();
    assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious");
    assert_eq!(file.read_all(TTL), saved("a", 1, 0));
    for name in ["qualm.seed", "qualm-2.lock"] {
        let _none = fs::remove_file(at(name));
        std::os::unix::fs::symlink("target", at(name)).unwrap();
        let error = StateFile::open(dir.path(), 1).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("symbolic link"), "{error}");
        fs::remove_file(at(name)).unwrap();
        fs::write(at("qualm.seed"), "1").unwrap();
    }
    assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious");
}

#[test]
fn a_last_state_that_cannot_be_written_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state");
    let writer = Writer::start(StateFile::open(&dir, 1).unwrap());
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "a file").unwrap();
    let error = writer.close(saved("a", 1, 0)).unwrap_err().to_string();
    assert!(error.contains("qualm.state"), "{error}");
}

#[test]
fn the_writer_ends_with_the_last_state_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(StateFile::open(dir.path(), 1).unwrap());
    for identity in 1..100 {
        writer.write_soon(saved("a", identity, 0));
    }
    writer.close(saved("a", 1000, 0)).unwrap();
    assert_eq!(StateFile::open(dir.path(), 1).unwrap().read_all(TTL), saved("a", 1000, 0));
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["qualm.lock", "qualm.seed", "qualm.state"], "nothing else is left behind");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for error in [StateFile::open(file.path(), 1).unwrap_err(), check(file.path()).unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("[state] dir"), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    check(&dir.path().join("not/yet")).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "looking makes nothing");
    fs::write(dir.path().join("qualm.seed"), "x").unwrap();
    assert_eq!(StateFile::open(dir.path(), 5).unwrap().seed(), 5, "a seed that is none is set aside");
    assert!(dir.path().join("qualm.seed.damaged").exists());
}
