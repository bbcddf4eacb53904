//! Packed bundles.

use qualm_bundle::Bundle;

/// The magic number of zstd.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// An archive that can be unpacked round-trips. Bytes that are not compressed are taken as the contents of an archive, so that
/// the fuzzer does not have to find checksums.
pub(crate) fn archive(bytes: &[u8]) {
    let bundle = if bytes.starts_with(&ZSTD) {
        Bundle::unpack(bytes)
    } else {
        Bundle::unpack(&zstd::encode_all(bytes, 1).expect("bytes can be compressed"))
    };
    let Ok(bundle) = bundle else { return };
    let packed = bundle.pack();
    let reread = Bundle::unpack(&packed).expect("what was packed can be unpacked");
    assert!(reread == bundle && reread.pack() == packed, "{bundle:?}");
}
