use std::os::unix::fs::PermissionsExt;

use super::*;

fn features() -> Vec<String> {
    vec!["cpu".to_owned(), "a\n\"b".to_owned()]
}

/// Rows from `first` on, of two entities.
fn rows(first: i64, count: i64) -> Rows {
    let all = first..first + count;
    Rows {
        times: all.clone().map(|row| row * 1_000_000_000).collect(),
        series: all.clone().map(|row| (row % 2) as u32).collect(),
        entities: vec!["host=a".to_owned(), "host=b".to_owned()],
        values: all.clone().flat_map(|row| [row as f64 * 0.1, if row % 3 == 0 { f64::NAN } else { 1.0 }]).collect(),
        scores: all.map(|row| row as f64 / 1000.0).collect(),
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn rows_are_read_as_they_were_written_with_entities_by_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state/rows");
    let mut ring = Ring::open(&dir, features(), 1 << 20).unwrap();
    let mut second = rows(100, 50);
    second.entities.reverse();
    ring.write(&rows(0, 100)).unwrap();
    ring.write(&Rows::default()).unwrap();
    Ring::open(&dir, features(), 1 << 20).unwrap().write(&second).unwrap();
    let Read { rows: read, damaged } = Rows::read(&dir, &features()).unwrap();
    assert_eq!((read.len(), damaged.len()), (150, 0));
    assert_eq!(read.entities, ["host=a", "host=b"]);
    assert_eq!(read.times, rows(0, 150).times);
    assert_eq!(bits(&read.values), bits(&rows(0, 150).values));
    assert_eq!((read.series[98], read.series[100], read.series[101]), (0, 1, 0), "the names count, not the numbers");
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(dir.join(file(1)).metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_oldest_make_room() {
    let root = tempfile::tempdir().unwrap();
    let one = segment::encode(&rows(0, 1000), &features()).unwrap().len() as u64;
    let mut ring = Ring::open(root.path(), features(), one * 7 / 2).unwrap();
    for segment in 0..10 {
        ring.write(&rows(segment * 1000, 1000)).unwrap();
        assert!(ring.bytes() <= one * 7 / 2);
    }
    let read = Rows::read(root.path(), &features()).unwrap().rows;
    assert!((2000..=5000).contains(&read.len()) && *read.times.last().unwrap() == 9_999_000_000_000, "{}", read.len());
    let bytes = ring.bytes();
    Ring::open(root.path(), features(), 10).unwrap().write(&rows(0, 1000)).unwrap();
    let ring = Ring::open(root.path(), features(), 1 << 20).unwrap();
    assert_eq!(ring.bytes(), bytes, "what is too large alone removes nothing");
}

#[test]
fn other_features_are_ignored_and_damage_is_said() {
    let root = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(root.path(), features(), 1 << 20).unwrap();
    assert!(matches!(Rows::read(root.path(), &features()), Err(Error::Empty(_))));
    ring.write(&rows(0, 10)).unwrap();
    assert!(matches!(Rows::read(root.path(), &["cpu".to_owned()]), Err(Error::Empty(_))));
    let (whole, mut wrong) = (fs::read(root.path().join(file(1))).unwrap(), rows(0, 10));
    wrong.entities.pop();
    fs::write(root.path().join(file(2)), &whole[..whole.len() / 2]).unwrap();
    fs::write(root.path().join(file(3)), segment::encode(&wrong, &features()).unwrap()).unwrap();
    fs::write(root.path().join(file(4)), zstd::encode_all(&vec![0; 70 << 20][..], 1).unwrap()).unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    wrong = rows(0, 10);
    wrong.scores.pop();
    fs::write(root.path().join(file(5)), segment::encode(&wrong, &features()).unwrap()).unwrap();
    let Read { rows, damaged } = Rows::read(root.path(), &features()).unwrap();
    let why: Vec<&str> = damaged.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(rows.len(), 10);
    assert!(why[0].contains("zstd") && why[1].contains("without a name") && why[2].contains("zstd"), "{why:?}");
    assert!(why[3].contains("differ in length"), "{why:?}");
}
