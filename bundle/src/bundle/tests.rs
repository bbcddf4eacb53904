use std::collections::BTreeMap;

use qualm_core::BuiltIn;

use super::*;
use crate::testing;

#[test]
fn inconsistent_files_are_named() {
    let good = testing::bundle(1);
    let fault = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.check_integrity().unwrap_err().to_string()
    };
    let other = testing::bundle(2);
    for (fault, what) in [
        (fault(&|bundle| bundle.model[100] ^= 1), "model.safetensors: its SHA-256 is not the one"),
        (fault(&|bundle| bundle.golden = other.golden.clone()), "golden.safetensors: its SHA-256"),
        (fault(&|bundle| bundle.component = Some(vec![])), "does not list detector.wasm"),
        (
            fault(&|bundle| drop(bundle.manifest.sha256.insert("detector.wasm".to_owned(), "0".repeat(64)))),
            "detector.wasm: it is missing; bundle.toml lists it",
        ),
        (fault(&|bundle| drop(bundle.manifest.features.pop())), "golden.safetensors: its rows have 2 values"),
    ] {
        assert!(fault.contains(what), "{fault}");
    }
    good.check_integrity().unwrap();
}

#[test]
fn a_model_must_be_the_one_that_is_described() {
    let good = testing::bundle(1);
    good.open(&BuiltIn).unwrap();
    assert!(good.check_detector("zscore", 2).is_ok());
    let kind = good.check_detector("pca", 2).unwrap_err().to_string();
    assert_eq!(kind, "model.safetensors: it is of the kind `pca`, but bundle.toml says `zscore`");
    let features = good.check_detector("zscore", 3).unwrap_err().to_string();
    assert_eq!(features, "model.safetensors: it takes 3 features, but bundle.toml has 2");
    let other = Bundle { model: testing::model(9.0), ..good.clone() };
    assert!(matches!(other.open(&BuiltIn), Err(Fault::Golden(_))));
    let none = Bundle { model: b"weights".to_vec(), ..good };
    assert!(matches!(none.open(&BuiltIn), Err(Fault::Model(_))));
}

#[test]
fn an_expired_bundle_is_refused() {
    let mut bundle = testing::bundle(1);
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    bundle.check_expiry(now).unwrap();
    bundle.manifest.expires = Some(now);
    assert_eq!(
        bundle.check_expiry(now).unwrap_err().to_string(),
        "it expired on 2026-06-01T00:00:00Z; train a new one"
    );
    bundle.manifest.expires = Some("2026-06-01T00:00:01Z".parse().unwrap());
    bundle.check_expiry(now).unwrap();
}

#[test]
fn a_draft_that_would_not_load_is_refused_at_once() {
    let finished = |change: &dyn Fn(&mut Draft)| {
        let mut draft = testing::draft(1);
        change(&mut draft);
        draft.finish(&BuiltIn)
    };
    // `finish` overwrites the format and the digests.
    let filled_in = |draft: &mut Draft| {
        draft.manifest.format = 99;
        draft.manifest.sha256 = BTreeMap::from([("x".to_owned(), String::new())]);
    };
    assert_eq!(finished(&filled_in).unwrap(), testing::bundle(1));
    assert!(matches!(finished(&|draft| draft.manifest.name = "a b".to_owned()), Err(Fault::Manifest(_))));
    assert!(matches!(finished(&|draft| drop(draft.manifest.features.pop())), Err(Fault::Golden(_))));
    assert!(matches!(finished(&|draft| draft.manifest.kind = "pca".to_owned()), Err(Fault::Model(_))));
    assert!(matches!(finished(&|draft| draft.model = testing::model(9.0)), Err(Fault::Golden(_))));
}

#[test]
fn a_plugin_needs_a_sandbox_to_open() {
    let draft = || Draft { component: Some(b"\0asm".to_vec()), ..testing::draft(1) };
    let refused = draft().finish(&BuiltIn).unwrap_err();
    assert!(matches!(refused, Fault::Sandbox), "{refused}");
    let plugin = draft().finish(&testing::Sandbox).unwrap();
    assert_eq!(Bundle::unpack(&plugin.pack()).unwrap(), plugin);
    assert_eq!(plugin.files().count(), 4);
    let mut detector = plugin.open(&testing::Sandbox).unwrap();
    plugin.golden.check(|rows| Ok(detector.verdicts_of(rows, Wanted::SCORES).unwrap().scores)).unwrap(); // it has forgotten the golden rows
}
