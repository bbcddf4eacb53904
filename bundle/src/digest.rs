//! SHA-256 as people compare it.

use sha2::{Digest, Sha256};

/// The digest in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_sha256sum_says() {
        assert_eq!(super::sha256(b"qualm\n"), "ed29d365bbc25f7cecf7047f4ad684a54ec753983da875999b5310b92e9f2ff3");
    }
}
