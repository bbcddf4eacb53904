use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use minisign::KeyPair;

use super::*;
use crate::testing;
use crate::{Bundle, Fault};

fn keys() -> (SecretKey, PublicKey) {
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
    (SecretKey(sk), PublicKey(pk))
}

fn signed(key: &SecretKey) -> Bundle {
    let mut bundle = testing::bundle(1);
    bundle.sign(key).unwrap();
    bundle
}

#[test]
fn with_keys_only_bundles_signed_by_one_of_them_are_accepted() {
    let ((secret, public), (_, other)) = (keys(), keys());
    let bundle = signed(&secret);
    let unsigned = testing::bundle(1);
    let trust = Trust { keys: vec![other.clone(), public.clone()] };
    let by = Signed::By { key: public.id(), comment: "qualm bundle cpu, version 1".to_owned() };
    assert_eq!(bundle.check_trust(&trust).unwrap(), by);
    assert_eq!(secret.public().unwrap().id(), public.id());
    assert_eq!(bundle.check_trust(&Trust::default()).unwrap(), Signed::Unchecked { key: public.id() });
    assert_eq!(unsigned.check_trust(&Trust::default()).unwrap(), Signed::No);
    for (bundle, trust, what) in [
        (&unsigned, &trust, "it is not signed"),
        (&bundle, &Trust { keys: vec![other] }, "which is not trusted"),
        (&Bundle { manifest_text: b"format = 1".to_vec(), ..bundle.clone() }, &trust, "is not of this bundle.toml"),
    ] {
        let fault = bundle.check_trust(trust).unwrap_err();
        assert!(matches!(&fault, Fault::Signature(text) if text.contains(what)), "{fault}");
    }
    // Packing keeps the signature.
    assert_eq!(Bundle::unpack(&bundle.pack()).unwrap().check_trust(&trust).unwrap(), by);
}

#[test]
fn a_tampered_signature_is_refused() {
    let (secret, public) = keys();
    let bundle = signed(&secret);
    let trust = Trust { keys: vec![public] };
    let text = bundle.signature.clone().unwrap();
    let check = |signature: &str| trust.check(&bundle.manifest_text, Some(signature));
    // The first line is not signed; the base64 of the others has unused bits in its last character only.
    let first = text.lines().next().unwrap().len();
    for at in 0..text.len() {
        for flip in [1, 0x20] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(tampered) = String::from_utf8(bytes) else { continue };
            if at > first && tampered.trim() != text.trim() {
                assert!(check(&tampered).is_err(), "{tampered}");
            } else {
                let _either = check(&tampered);
            }
        }
        assert!(check(&text[..at]).is_err() || text[at..].trim().is_empty());
    }
}

#[test]
fn a_key_is_given_as_its_file_or_its_line() {
    let (_, public) = keys();
    let line = public.0.to_base64();
    let file = public.0.to_box().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pub");
    fs::write(&path, &file).unwrap();
    for text in [&line, &file, &format!(" {line}\n"), path.to_str().unwrap()] {
        assert_eq!(PublicKey::find(text).unwrap().id(), public.id());
    }
    fs::write(&path, "ssh-ed25519 AAAA").unwrap();
    let (no_key, no_file) =
        (PublicKey::find(path.to_str().unwrap()).unwrap_err(), PublicKey::find("RWno").unwrap_err());
    let (no_key, no_file) = (no_key.to_string(), no_file.to_string());
    assert!(no_key.contains("it is no public key of minisign"), "{no_key}");
    assert!(no_file.contains("RWno is no public key, and no file of one"), "{no_file}");
    assert!(PublicKey::parse("").is_err() && PublicKey::parse(&"RW".repeat(28)).is_ok_and(|key| key.id().len() == 16));
}

/// Runs the real minisign with a password; returns whether it succeeded.
fn minisign(tool: &PathBuf, password: &str, arguments: &[&str], directory: &Path) -> bool {
    let mut process = Command::new(tool)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _not_asked = process.stdin.take().unwrap().write_all(format!("{password}\n{password}\n").as_bytes());
    process.wait().unwrap().success()
}

#[test]
fn signatures_are_compatible_with_minisign() {
    let Some(tool) = testing::minisign() else { return };
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for (password, generate) in [("", vec!["-G", "-W"]), ("correct horse", vec!["-G"])] {
        let generate = [generate, vec!["-f", "-p", "key.pub", "-s", "key"]].concat();
        assert!(minisign(&tool, password, &generate, root.path()));
        let public = PublicKey::find(at("key.pub").to_str().unwrap()).unwrap();
        let trust = Trust { keys: vec![public.clone()] };

        // Signed by minisign, verified by qualm.
        testing::bundle(1).write(&at("cpu")).unwrap();
        let sign = ["-Sm", "bundle.toml", "-s", "../key", "-t", "by hand"];
        assert!(minisign(&tool, password, &sign, &at("cpu")));
        let bundle = Bundle::read(&at("cpu")).unwrap();
        let by = Signed::By { key: public.id(), comment: "by hand".to_owned() };
        assert_eq!(bundle.check_trust(&trust).unwrap(), by);

        // Signed by qualm, verified by minisign.
        let was_asked = std::cell::Cell::new(false);
        let ask = || {
            was_asked.set(true);
            Ok(password.to_owned())
        };
        let secret = SecretKey::read(&at("key"), ask).unwrap();
        assert_eq!(was_asked.get(), !password.is_empty(), "only where there is a password");
        signed(&secret).write(&at("cpu")).unwrap();
        let verify = ["-Vm", "bundle.toml", "-p", "../key.pub"];
        assert!(minisign(&tool, "", &verify, &at("cpu")));
        let mut text = fs::read(at("cpu/bundle.toml")).unwrap();
        text.push(b'\n');
        fs::write(at("cpu/bundle.toml"), text).unwrap();
        assert!(!minisign(&tool, "", &verify, &at("cpu")), "it would have said so");
    }
    let wrong = SecretKey::read(&at("key"), || Ok("wrong horse".to_owned())).unwrap_err().to_string();
    assert!(wrong.contains("Wrong password"), "{wrong}");
    let none = SecretKey::read(&at("key.pub"), || unreachable!("it is no secret key")).unwrap_err().to_string();
    assert!(none.contains("it is no secret key of minisign"), "{none}");
}
