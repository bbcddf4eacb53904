//! What must not be seen.

use std::fmt;

/// A token or password: it can be used, and does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What it is, for a header.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of an environment variable, unless it is empty.
    pub(super) fn variable(name: &str) -> Option<Self> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(Self)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A URL as it may be printed: without user and password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_printed() {
        for (url, shown) in [
            ("http://a:9090", "http://a:9090"),
            ("http://me:hush@a:9090/x@y", "http://a:9090/x@y"),
            ("https://me:h@sh@a", "https://a"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn it_does_not_print_itself() {
        let secret = Secret::from("hush".to_owned());
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hush") && secret.reveal() == "hush");
    }
}
