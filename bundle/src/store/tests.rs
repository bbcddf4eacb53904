use qualm_core::BuiltIn;

use super::*;
use crate::testing;

fn open(root: &tempfile::TempDir) -> Store {
    Store::open(root.path(), "cpu").unwrap()
}

/// Offers a version, and stores it if it is admitted.
fn offer(store: &mut Store, version: u64) -> Result<Admission, Refused> {
    let bundle = testing::bundle(version);
    let admission = store.admits(&bundle)?;
    if admission == Admission::New {
        store.keep(&bundle).unwrap();
    }
    Ok(admission)
}

fn current(store: &mut Store) -> Option<u64> {
    store.current().unwrap().map(|bundle| bundle.manifest.version)
}

#[test]
fn only_newer_versions_are_admitted() {
    let root = tempfile::tempdir().unwrap();
    for mut store in [open(&root), Store::in_memory()] {
        assert_eq!((store.version(), store.kept().len()), (None, 0));
        assert_eq!(offer(&mut store, 5), Ok(Admission::New));
        assert_eq!(offer(&mut store, 5), Ok(Admission::Same));
        assert_eq!(offer(&mut store, 4), Err(Refused::Older { offered: 4, current: 5 }));
        let mut other = testing::draft(5);
        other.manifest.provenance.seed = 8;
        assert_eq!(store.admits(&other.finish(&BuiltIn).unwrap()), Err(Refused::SameVersion(5)));
        assert_eq!(offer(&mut store, 7), Ok(Admission::New));
        assert!(store.directory.is_some() || store.current().unwrap().is_none(), "nothing is kept in memory");
        assert_eq!(store.version(), Some(7));
    }
    let mut reopened = open(&root);
    assert_eq!(
        (reopened.current().unwrap(), reopened.kept()),
        (Some(testing::bundle(7)), vec![5, 7]),
        "it outlives the process"
    );
}

#[test]
fn versions_are_compared_even_if_storing_fails() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    let place = directory(root.path(), "cpu");
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, b"in the way").unwrap();
    assert_eq!(store.admits(&testing::bundle(5)), Ok(Admission::New));
    store.keep(&testing::bundle(5)).unwrap_err();
    assert_eq!(store.admits(&testing::bundle(5)), Ok(Admission::Same));
    assert_eq!(store.admits(&testing::bundle(4)), Err(Refused::Older { offered: 4, current: 5 }));
}

#[test]
fn a_model_that_failed_is_not_admitted_again() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    (1..=3).for_each(|version| _ = offer(&mut store, version));
    assert_eq!(open(&root).fall_back(2).unwrap(), None, "another is current");
    assert_eq!(open(&root).fall_back(3).unwrap().unwrap().manifest.version, 2);
    let mut store = open(&root);
    assert_eq!(current(&mut store), Some(2));
    assert_eq!(offer(&mut store, 3), Err(Refused::RolledBack { offered: 3, from: 3 }));
    assert_eq!(offer(&mut store, 4), Ok(Admission::New));
}

#[test]
fn the_latest_versions_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    for version in 1..=8 {
        offer(&mut store, version).unwrap();
    }
    assert_eq!(store.kept(), [4, 5, 6, 7, 8]);
    let path = directory(root.path(), "cpu");
    for foreign in ["007.qualm", "notes.qualm", "9.qualm.bad", "+9.qualm"] {
        fs::write(path.join(foreign), "").unwrap();
    }
    assert_eq!(store.kept(), [4, 5, 6, 7, 8]);
}

#[test]
fn after_a_rollback_only_newer_versions_are_admitted() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    assert!(
        store
            .rollback(None)
            .unwrap_err()
            .to_string()
            .contains("no version before the current one to go back to; kept are none")
    );
    for version in [1, 2, 3, 5] {
        offer(&mut store, version).unwrap();
    }
    // By the command, in another process.
    let mut command = open(&root);
    assert_eq!(command.rollback(None).unwrap(), testing::bundle(3));
    assert_eq!(store.changed().unwrap(), Some(testing::bundle(3)));
    assert_eq!((store.changed().unwrap(), store.version(), store.rolled_back_from()), (None, Some(3), Some(5)));
    for offered in [5, 4, 2] {
        assert_eq!(offer(&mut store, offered), Err(Refused::RolledBack { offered, from: 5 }));
    }
    assert_eq!(offer(&mut store, 3), Ok(Admission::Same));

    // To an older version, to one that is not stored, and to the newest again.
    assert_eq!(command.rollback(Some(1)).unwrap(), testing::bundle(1));
    assert_eq!((command.version(), command.rolled_back_from()), (Some(1), Some(5)));
    assert!(
        command.rollback(Some(4)).unwrap_err().to_string().contains("no version 4 to go back to; kept are 1, 2, 3, 5")
    );
    assert_eq!(command.rollback(Some(5)).unwrap(), testing::bundle(5));
    assert_eq!(command.rolled_back_from(), None);

    // A newer version is admitted, and a rollback from it does not lead to a version that was rolled back from.
    command.rollback(Some(2)).unwrap();
    assert_eq!(store.changed().unwrap(), Some(testing::bundle(2)));
    store.keep(&testing::bundle(2)).unwrap();
    assert_eq!(store.rolled_back_from(), Some(5), "that it runs now is not news");
    assert_eq!(offer(&mut store, 6), Ok(Admission::New));
    assert_eq!((store.rolled_back_from(), store.kept()), (None, vec![1, 2, 3, 5, 6]));
    assert_eq!(store.rollback(None).unwrap(), testing::bundle(2));
    assert_eq!(open(&root).rolled_back_from(), Some(6));
}

#[test]
fn a_new_bundle_does_not_undo_a_concurrent_rollback() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    offer(&mut store, 1).unwrap();
    offer(&mut store, 2).unwrap();
    open(&root).rollback(None).unwrap();
    store.keep(&testing::bundle(3)).unwrap(); // without reading the state first
    assert_eq!(open(&root).rollback(None).unwrap(), testing::bundle(1), "that ran before");
}

#[test]
fn another_model_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    offer(&mut store, 9).unwrap();
    let mut other = testing::draft(10);
    other.manifest.name = "memory".to_owned();
    let refused = store.admits(&other.finish(&BuiltIn).unwrap()).unwrap_err();
    assert!(matches!(refused, Refused::OtherModel { .. }) && refused.to_string().contains("`memory`"), "{refused}");
}

#[test]
fn a_damaged_store_is_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    for version in 1..=3 {
        offer(&mut store, version).unwrap();
    }
    let path = directory(root.path(), "cpu");
    for damage in [&b""[..], b"not TOML", b"current = 3", b"\xff"] {
        fs::write(path.join(STATE), damage).unwrap();
        assert_eq!(current(&mut open(&root)), Some(3), "{damage:?}");
    }
    assert!(path.join("store.toml.bad").exists());
    fs::remove_file(path.join(STATE)).unwrap();
    assert_eq!(current(&mut open(&root)), Some(3));

    // The current bundle is damaged, then replaced by another, then missing.
    let packed = fs::read(path.join("3.qualm")).unwrap();
    fs::write(path.join("3.qualm"), &packed[..packed.len() / 2]).unwrap();
    let mut store = open(&root);
    assert_eq!((current(&mut store), store.kept()), (Some(2), vec![1, 2]));
    fs::write(path.join("2.qualm"), packed).unwrap();
    assert_eq!(current(&mut open(&root)), Some(1));
    fs::remove_file(path.join("1.qualm")).unwrap();
    assert_eq!(current(&mut open(&root)), None);
    assert_eq!(offer(&mut open(&root), 1), Ok(Admission::New), "from there, all goes on");
}

#[test]
fn any_detector_name_is_a_valid_directory() {
    let state = Path::new("/state");
    assert_eq!(directory(state, "cpu.total-1_a"), Path::new("/state/bundles/cpu.total-1_a"));
    assert_eq!(directory(state, "../../etc"), Path::new("/state/bundles/%2E.%2F..%2Fetc"));
    assert_eq!(directory(state, ""), Path::new("/state/bundles/%"));
}

#[test]
fn what_was_given_up_before_it_ran_is_refused_from_then_on() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(&root);
    store.reject(7).unwrap();
    assert_eq!(store.rolled_back_from(), None, "without a current one, nothing was compared with it");
    offer(&mut store, 1).unwrap();
    store.reject(2).unwrap();
    assert_eq!((store.version(), store.rolled_back_from()), (Some(1), Some(2)));
    let mut again = open(&root);
    assert_eq!(offer(&mut again, 1), Ok(Admission::Same));
    assert_eq!(offer(&mut again, 2), Err(Refused::RolledBack { offered: 2, from: 2 }));
    again.reject(1).unwrap();
    assert_eq!(again.rolled_back_from(), Some(2), "the current one is not given up");
    assert_eq!(offer(&mut again, 3), Ok(Admission::New));
    assert_eq!((again.version(), again.rolled_back_from()), (Some(3), None));
}
