//! SHA-256 digests in hexadecimal.

use ct_codecs::{Encoder as _, Hex};
use sha2::{Digest, Sha256};

/// A digest in hexadecimal digits.
///
/// # Panics
///
/// If memory runs out.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    Hex::encode_to_string(digest).expect("twice its length is a length")
}

/// The SHA-256 of these bytes, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn sha256_is_that_of_sha256sum() {
        assert_eq!(super::sha256(b"qualm\n"), "ed29d365bbc25f7cecf7047f4ad684a54ec753983da875999b5310b92e9f2ff3");
    }
}
