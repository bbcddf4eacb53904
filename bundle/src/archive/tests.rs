use std::io::{self, Write};

use super::*;
use crate::files::{GOLDEN, MANIFEST, MODEL};
use crate::testing;

fn compress(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).unwrap()
}

/// A bundle's tar with one more entry, whose header `change` modifies before its checksum is set.
fn with_entry(change: impl FnOnce(&mut Header), content: &[u8]) -> Vec<u8> {
    let mut tar = zstd::decode_all(&*testing::bundle(1).pack()).unwrap();
    tar.truncate(tar.len() - 1024);
    let mut header = Header::new_ustar();
    header.set_path("detector.wasm").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    change(&mut header);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    compress(&tar)
}

fn fault(packed: &[u8]) -> String {
    Bundle::unpack(packed).unwrap_err().to_string()
}

#[test]
fn packing_is_deterministic_and_round_trips() {
    let bundle = testing::bundle(7);
    let packed = bundle.pack();
    assert_eq!(testing::bundle(7).pack(), packed);
    assert_eq!(Bundle::unpack(&packed).unwrap(), bundle);
    assert_eq!(bundle.archive_name(), "cpu-7.qualm");
    let tar = zstd::decode_all(&*packed).unwrap();
    assert!(tar.starts_with(b"bundle.toml\0"), "the manifest comes first");
}

#[test]
fn the_tar_command_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = testing::bundle(1);
    std::fs::write(directory.path().join("cpu.tar"), zstd::decode_all(&*bundle.pack()).unwrap()).unwrap();
    std::fs::create_dir(directory.path().join("cpu")).unwrap();
    let unpacked =
        std::process::Command::new("tar").args(["-xf", "cpu.tar", "-C", "cpu"]).current_dir(&directory).status();
    assert!(unpacked.unwrap().success());
    assert_eq!(Bundle::read(&directory.path().join("cpu")).unwrap(), bundle);
}

#[test]
fn a_damaged_archive_is_refused_or_unpacks_to_the_same_bundle() {
    let bundle = testing::bundle(1);
    let packed = bundle.pack();
    for at in 0..packed.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut damaged = packed.clone();
            damaged[at] ^= flip;
            if let Ok(read) = Bundle::unpack(&damaged) {
                assert_eq!(read, bundle, "{at} {flip}");
            }
        }
        assert!(Bundle::unpack(&packed[..at]).is_err(), "cut at {at}");
    }
    // The same inside of the compression, where there is no checksum: only the manifest may differ, which is what
    // signatures are for.
    let tar = zstd::decode_all(&*packed).unwrap();
    for at in 0..tar.len() {
        for flip in [0x01, 0xff] {
            let mut damaged = tar.clone();
            damaged[at] ^= flip;
            if let Ok(read) = Bundle::unpack(&compress(&damaged)) {
                assert_eq!((&read.model, read.golden.bytes()), (&bundle.model, bundle.golden.bytes()), "{at} {flip}");
            }
        }
    }
    for at in (0..tar.len() - 1024).step_by(97) {
        assert!(Bundle::unpack(&compress(&tar[..at])).is_err(), "cut at {at}");
    }
}

#[test]
fn only_plain_files_of_known_names_are_unpacked() {
    let named = |name: &'static [u8]| {
        move |header: &mut Header| {
            header.as_old_mut().name.fill(0);
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
        }
    };
    let kind = |kind: EntryType| move |header: &mut Header| header.set_entry_type(kind);
    for (packed, what) in [
        (with_entry(named(b"../bundle.toml"), b""), "../bundle.toml: a bundle has no such file"),
        (with_entry(named(b"/etc/passwd"), b""), "/etc/passwd: a bundle has no such file"),
        (with_entry(named(b"./detector.wasm"), b""), "no such file"),
        (with_entry(named(b"sub/detector.wasm"), b""), "no such file"),
        (with_entry(named(b"detector.wasm "), b""), "no such file"),
        (with_entry(named(b"\xff\xfe"), b""), "no such file"),
        (with_entry(named(b""), b""), "no such file"),
        (with_entry(named(b"model.safetensors"), b"other"), "model.safetensors: it is there twice"),
        (with_entry(named(b"bundle.toml"), b"other"), "bundle.toml: it is there twice"),
        (with_entry(|_| {}, b"code"), "does not list detector.wasm, which is there"),
        (with_entry(kind(EntryType::Symlink), b""), "it is no plain file but Symlink"),
        (with_entry(kind(EntryType::Link), b""), "it is no plain file but Link"),
        (with_entry(kind(EntryType::Directory), b""), "it is no plain file but Directory"),
        (with_entry(kind(EntryType::Fifo), b""), "it is no plain file but Fifo"),
        (with_entry(kind(EntryType::Block), b""), "it is no plain file but Block"),
        (with_entry(kind(EntryType::GNUSparse), b""), "it is no plain file but GNUSparse"),
        (with_entry(kind(EntryType::GNULongName), b"bundle.toml\0"), "it is no plain file but GNULongName"),
        (with_entry(kind(EntryType::XHeader), b"30 path=../../../etc/passwd\n"), "it is no plain file but XHeader"),
        (with_entry(|header| header.set_size(u64::MAX), b""), "damaged (size overflow)"),
        (with_entry(|header| header.set_size(MAX_BUNDLE_BYTES), b""), "bytes are more than the"),
        (
            with_entry(|header| header.set_size(100 << 20), b""),
            "detector.wasm: it ends after 1024 of its 104857600 bytes",
        ),
        (with_entry(|header| header.as_old_mut().size = *b"not a number", b""), "it is no packed bundle, or damaged"),
    ] {
        let fault = fault(&packed);
        assert!(fault.contains(what), "{fault}, and not {what}");
    }
}

/// Appends a file of zeros.
fn zeros(tar: &mut tar::Builder<impl Write>, name: &str, size: u64) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_cksum();
    tar.append(&header, io::repeat(0).take(size))
}

#[test]
fn decompression_bombs_are_refused() {
    let bomb = |write: &dyn Fn(&mut Encoder<'_, Vec<u8>>) -> io::Result<()>| {
        let mut encoder = Encoder::new(Vec::new(), 1).unwrap();
        write(&mut encoder).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 1 << 20, "{}", packed.len());
        fault(&packed)
    };
    let endless = bomb(&|out| io::copy(&mut io::repeat(0).take(MAX_BUNDLE_BYTES * 2), out).map(drop));
    assert!(endless.contains("it unpacks to more than 268435456 bytes"), "{endless}");
    let many = bomb(&|out| {
        let mut tar = tar::Builder::new(out);
        zeros(&mut tar, MODEL, MAX_BUNDLE_BYTES / 2 + 1)?;
        zeros(&mut tar, GOLDEN, MAX_BUNDLE_BYTES / 2)
    });
    assert!(many.contains("golden.safetensors: its 134217728 bytes are more than the 134217727"), "{many}");
    let manifest = bomb(&|out| zeros(&mut tar::Builder::new(out), MANIFEST, 2 << 20));
    assert!(manifest.contains("bundle.toml: its 2097152 bytes are more than the 1048576"), "{manifest}");

    let mut window = Encoder::new(Vec::new(), 1).unwrap();
    window.window_log(30).unwrap();
    window.long_distance_matching(true).unwrap();
    window.write_all(b"x").unwrap();
    let window = fault(&window.finish().unwrap());
    assert!(window.contains("it is no packed bundle, or damaged"), "{window}");
    for rubbish in [&b""[..], b"rubbish", &[0; 1024], &[0xff; 1024]] {
        assert!(Bundle::unpack(rubbish).is_err());
    }
}
