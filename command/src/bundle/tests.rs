use std::fs;

use clap::Parser;

use qualm_bundle::bundle::Draft;
use qualm_bundle::store::Store;
use qualm_core::BuiltIn;

use super::*;
use crate::failure::Failure;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn call(arguments: &[&str]) -> Result<(), Error> {
    run(&Cli::try_parse_from([&["bundle"], arguments].concat()).unwrap().options, &BuiltIn)
}

/// The exit code.
fn exit_code(arguments: &[&str]) -> u8 {
    call(arguments).map_or_else(|error| Failure::from(error).exit_code(), |()| 0)
}

#[test]
fn the_command_line_is_valid_for_clap() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn a_bundle_is_packed_signed_verified_and_compared() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).into_os_string().into_string().unwrap();
    let (cpu, key) = (at("cpu"), at("key"));
    testing::bundle(1).write(cpu.as_ref()).unwrap();
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("horse".to_owned())).unwrap();
    fs::write(&key, pair.sk.to_box(None).unwrap().to_string()).unwrap();
    let public = pair.pk.to_base64();

    assert_eq!(exit_code(&["inspect", &cpu]), 0);
    assert_eq!(exit_code(&["inspect", &cpu, "--json"]), 0);
    assert_eq!(exit_code(&["verify", &cpu]), 0);
    assert_eq!(exit_code(&["verify", &cpu, "--json", "--key", &public]), 1, "it is not signed yet");
    assert_eq!(exit_code(&["pack", &cpu, "--out", &at("")]), 0);
    assert_eq!(Bundle::read(at("cpu-1.qualm").as_ref()).unwrap(), testing::bundle(1));
    let signed = Bundle { signature: None, ..Bundle::read(cpu.as_ref()).unwrap() };
    assert_eq!(exit_code(&["diff", &cpu, &at("cpu-1.qualm")]), 0);

    // The password comes from a script here; otherwise the key is opened as the command does.
    let secret = qualm_bundle::signature::SecretKey::read(key.as_ref(), || Ok("horse".to_owned())).unwrap();
    let mut bundle = signed;
    bundle.sign(&secret).unwrap();
    bundle.write(cpu.as_ref()).unwrap();
    assert_eq!(exit_code(&["verify", &cpu, "--key", &public]), 0);
    assert_eq!(exit_code(&["diff", &cpu, &at("cpu-1.qualm"), "--json"]), 0);
    assert_eq!(exit_code(&["verify", &cpu]), 0);

    fs::write(at("cpu/model.safetensors"), "other").unwrap();
    assert_eq!(exit_code(&["verify", &cpu]), 1);
    assert_eq!(exit_code(&["inspect", &cpu]), 2);
    fs::write(at("cpu/bundle.toml"), "other").unwrap();
    assert_eq!(exit_code(&["verify", &cpu]), 1);
    for unusable in [
        ["verify", &at("none"), "--json"].as_slice(),
        &["verify", &cpu, "--key", "none"],
        &["pack", &cpu],
        &["sign", &cpu, "--key", &key],
        &["sign", &at("cpu-1.qualm"), "--key", &at("none")],
        &["diff", &cpu, &cpu],
    ] {
        assert_eq!(exit_code(unusable), 2, "{unusable:?}");
    }
    assert_eq!(exit_code(&["pack", &at("cpu-1.qualm"), "--out", &at("no/where/cpu.qualm")]), 1, "it cannot be written");
}

#[test]
fn a_plugin_is_verified_in_the_sandbox() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("cpu").into_os_string().into_string().unwrap();
    let draft = Draft { component: Some(b"\0asm".to_vec()), ..testing::draft(1) };
    draft.finish(&testing::Sandbox).unwrap().write(path.as_ref()).unwrap();
    let options = || Cli::try_parse_from(["bundle", "verify", &path]).unwrap().options;
    run(&options(), &testing::Sandbox).unwrap();
    let native = run(&options(), &BuiltIn).unwrap_err();
    assert_eq!(Failure::from(native).exit_code(), 1);
}

#[test]
fn a_key_without_password_signs_packed_bundles_too() {
    let Some(tool) = testing::minisign() else { return };
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).into_os_string().into_string().unwrap();
    let made = std::process::Command::new(tool).args(["-G", "-W", "-p", &at("pub"), "-s", &at("key")]).output();
    assert!(made.unwrap().status.success());
    testing::bundle(1).write(at("cpu").as_ref()).unwrap();
    testing::bundle(1).write_packed(at("cpu.qualm").as_ref()).unwrap();
    for bundle in [at("cpu"), at("cpu.qualm")] {
        call(&["sign", &bundle, "--key", &at("key")]).unwrap();
        call(&["verify", &bundle, "--key", &at("pub")]).unwrap();
    }
}

#[test]
fn a_rollback_changes_the_store_of_the_pipeline() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().to_str().unwrap();
    let none = call(&["rollback", "cpu", "--state", state]).unwrap_err();
    assert!(none.to_string().contains("it keeps no bundles at all"), "{none}");
    let mut store = Store::open(root.path(), "cpu").unwrap();
    for version in 1..=3 {
        store.keep(&testing::bundle(version)).unwrap();
    }
    let other = call(&["rollback", "memory", "--state", state]).unwrap_err();
    assert!(other.to_string().contains("no bundles of a detector `memory`; it keeps those of cpu"), "{other}");
    call(&["rollback", "cpu", "--state", state]).unwrap();
    assert_eq!(store.changed().unwrap(), Some(testing::bundle(2)));
    call(&["rollback", "cpu", "--state", state, "--to", "1", "--json"]).unwrap();
    assert_eq!(store.changed().unwrap(), Some(testing::bundle(1)));
    assert_eq!(exit_code(&["rollback", "cpu", "--state", state, "--to", "9"]), 2);
}

#[test]
fn a_rollback_applies_to_all_endpoints_or_to_none() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().to_str().unwrap();
    let mut stores = ["vector", "influxdb"].map(|endpoint| Store::open(&root.path().join(endpoint), "cpu").unwrap());
    for store in &mut stores {
        for version in 1..=2 {
            store.keep(&testing::bundle(version)).unwrap();
        }
    }
    stores[0].keep(&testing::bundle(3)).unwrap();
    let versions = |stores: &mut [Store; 2]| {
        stores.each_mut().map(|store| {
            store.changed().unwrap();
            store.version().unwrap()
        })
    };
    let other = call(&["rollback", "memory", "--state", state]).unwrap_err().to_string();
    assert!(other.contains("influxdb keeps those of cpu; ") && other.contains("vector keeps those of cpu"), "{other}");
    assert_eq!(exit_code(&["rollback", "cpu", "--state", state, "--to", "3"]), 2, "one of them does not have it");
    assert_eq!(versions(&mut stores), [3, 2]);
    call(&["rollback", "cpu", "--state", state]).unwrap();
    assert_eq!(versions(&mut stores), [2, 1]);
    call(&["rollback", "cpu", "--state", state, "--to", "1", "--json"]).unwrap();
    assert_eq!(versions(&mut stores), [1, 1]);
}

#[test]
fn a_store_that_is_a_link_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(root.path().join("bundles")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.path().join("bundles/cpu")).unwrap();
    let error = Store::open(root.path(), "cpu").unwrap_err().to_string();
    assert!(error.contains("bundles/cpu") && error.contains("symbolic link"), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}
