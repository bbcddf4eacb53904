//! Secrets: tokens, passwords, and addresses that may contain some.
//!
//! A [`Secret`] prints, formats and serialises only its redacted form; only [`Secret::reveal`] returns all of it. So a type
//! that holds one can derive `Debug`, and be logged.

use std::{convert, env, fmt};

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The replacement for redacted parts.
const HIDDEN: &str = "***";

/// The shortest part of an address that [`Secret::hide_in`] redacts: shorter ones occur in any text by chance.
const MIN_HIDDEN_PART: usize = 4;

/// A text that is shown redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// The redacted text.
    shown: String,
}

impl Secret {
    /// A token or a password: all of it is redacted.
    #[must_use]
    pub fn token(text: impl Into<String>) -> Self {
        Self { text: text.into(), shown: HIDDEN.to_owned() }
    }

    /// A URL or a path: user, password, the values of the query and the fragment are redacted.
    #[must_use]
    pub fn address(text: impl Into<String>) -> Self {
        let text = text.into();
        let shown = shown(&text);
        Self { text, shown }
    }

    /// Reads an option of the command line as [`address`](Self::address).
    ///
    /// # Errors
    ///
    /// None.
    #[must_use = "it is what was read"]
    pub fn parse_address(text: &str) -> Result<Self, convert::Infallible> {
        Ok(Self::address(text))
    }

    /// Reads an option of the command line as [`token`](Self::token).
    ///
    /// # Errors
    ///
    /// None.
    #[must_use = "it is what was read"]
    pub fn parse_token(text: &str) -> Result<Self, convert::Infallible> {
        Ok(Self::token(text))
    }

    /// The value of an environment variable, as a token, unless it is empty.
    #[must_use]
    pub fn variable(name: &str) -> Option<Self> {
        env::var(name).ok().filter(|value| !value.is_empty()).map(Self::token)
    }

    /// All of it: never for a log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The redacted text.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Redacts it and its parts in a message: errors of libraries contain whole URLs.
    #[must_use]
    pub fn hide_in(&self, message: &str) -> String {
        let mut message = message.replace(&self.text, &self.shown);
        if self.shown != HIDDEN {
            let mut parts = hidden_parts(&self.text);
            parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
            for part in parts.into_iter().filter(|part| part.len() >= MIN_HIDDEN_PART) {
                message = message.replace(part, HIDDEN);
            }
        }
        message
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

/// Deserialises a token; errors do not contain it either.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text("a text in quotes")).map(Self::token)
    }
}

/// Reads an address, if there is one.
///
/// # Errors
///
/// If it is no text; the error does not contain it.
pub fn some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    deserializer.deserialize_any(Text("an address in quotes")).map(|text| Some(Secret::address(text)))
}

/// Reads a list of tokens.
///
/// # Errors
///
/// If it is no list of texts; the error does not contain it.
pub fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
    deserializer.deserialize_any(TokenList)
}

/// Accepts a text; its errors do not contain the value.
struct Text(&'static str);

/// Accepts a list of texts, likewise.
struct TokenList;

/// The methods of a visitor that refuse a value without naming it.
macro_rules! refuse {
    () => {
        refuse!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64);

        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(de::Error::custom(format!("this must be {}", expected(&self))))
        }
    };
    ($($visit:ident: $of:ty),+) => {$(
        fn $visit<E: de::Error>(self, _: $of) -> Result<Self::Value, E> {
            Err(E::custom(format!("this must be {}", expected(&self))))
        }
    )+};
}

fn expected<'de>(visitor: &impl Visitor<'de>) -> String {
    (visitor as &dyn de::Expected).to_string()
}

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(de::Error::custom(format!("this must be {}", self.0)))
    }

    refuse!();
}

impl<'de> Visitor<'de> for TokenList {
    type Value = Vec<Secret>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts in quotes, such as [\"${QUALM_TOKEN}\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Secret>, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = seq.next_element()? {
            secrets.push(secret);
        }
        Ok(secrets)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Vec<Secret>, E> {
        Err(E::custom(format!("this must be {}", expected(&self))))
    }

    refuse!();
}

/// The parts of an address: scheme, user with password, host and path, query, fragment.
fn parts(address: &str) -> (&str, Option<&str>, &str, Option<&str>, Option<&str>) {
    let begin = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(begin);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // If a password is not percent-encoded, the apparent host is the user and part of the password; without a host, the
    // apparent path may be anything.
    let no_port = |(_, port): (&str, &str)| !port.bytes().all(|byte| byte.is_ascii_digit() || b":]".contains(&byte));
    let is_malformed = begin > 0 && authority.is_empty()
        || !authority.contains('@') && !authority.starts_with('[') && authority.split_once(':').is_some_and(no_port);
    let user = if is_malformed { rest.rfind('@') } else { authority.rfind('@') };
    let (user, rest) = user.map_or((None, rest), |at| (Some(&rest[..at]), &rest[at + 1..]));
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    (scheme, user, rest, query, fragment)
}

/// An address, redacted.
fn shown(address: &str) -> String {
    let (scheme, user, rest, query, fragment) = parts(address);
    let mut shown = scheme.to_owned();
    if user.is_some() {
        shown.push_str(HIDDEN);
        shown.push('@');
    }
    shown.push_str(rest);
    if let Some(query) = query {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((key, value)) if !value.is_empty() => format!("{key}={HIDDEN}"),
            Some(_) => pair.to_owned(),
            None => HIDDEN.to_owned(),
        };
        shown.push('?');
        shown.push_str(&query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    }
    if fragment.is_some() {
        shown.push('#');
        shown.push_str(HIDDEN);
    }
    shown
}

/// The parts of an address that are redacted.
fn hidden_parts(address: &str) -> Vec<&str> {
    let (_, user, _, query, fragment) = parts(address);
    let credentials =
        user.into_iter().flat_map(|user| [user, user.split_once(':').map_or(user, |(_, password)| password)]);
    let query = query.unwrap_or_default();
    let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    credentials.chain([query]).chain(values).chain(fragment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_redacted() {
        for (address, expected) in [
            ("https://host/cpu.qualm", "https://host/cpu.qualm"),
            ("models/cpu", "models/cpu"),
            ("https://host:8443/a@b", "https://host:8443/a@b"),
            ("http://[::1]:8086/x", "http://[::1]:8086/x"),
            ("https://me:hush@host:8443/cpu", "https://***@host:8443/cpu"),
            ("https://hush@host/cpu", "https://***@host/cpu"),
            ("https://me:h@ush@host/cpu", "https://***@host/cpu"),
            ("https://me:hu/sh@host/cpu", "https://***@host/cpu"),
            ("https://me:hu?sh@host/cpu", "https://***@host/cpu"),
            (
                "https://host/cpu?X-Amz-Signature=hush&empty=&hush#hush",
                "https://host/cpu?X-Amz-Signature=***&empty=&***#***",
            ),
            ("https:///me:hush@host", "https://***@host"),
            ("/models/a@b", "/models/a@b"),
            ("me:hush@host:8086", "***@host:8086"),
        ] {
            let secret = Secret::address(address);
            assert_eq!(secret.to_string(), expected);
            assert_eq!(secret.reveal(), address);
        }
    }

    #[test]
    fn no_output_contains_the_secret() {
        #[derive(Debug, Serialize)]
        struct Holder {
            token: Secret,
            url: Option<Secret>,
        }
        let url = Secret::address("https://me:hush-hush@host/?key=hush-hush");
        let holder = Holder { token: Secret::token("hush-hush"), url: Some(url.clone()) };
        let error = url.hide_in("https://me:hush-hush@host/?key=hush-hush: me:hush-hush may not, nor hush-hush");
        let all = format!("{holder:?} {holder:#?} {url} {} {error}", serde_json::to_string(&holder).unwrap());
        assert!(!all.contains("hush") && all.contains("host"), "{all}");
    }

    #[test]
    fn errors_do_not_contain_the_secret() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Holder {
            #[serde(deserialize_with = "tokens")]
            tokens: Vec<Secret>,
            #[serde(deserialize_with = "some_address")]
            url: Option<Secret>,
        }
        for text in [
            "tokens = 'hush-7'",
            "tokens = 777777",
            "tokens = [777777]",
            "tokens = [['hush-7']]",
            "tokens = { a = 'hush-7' }",
            "url = 777777.7",
            "url = ['hush-7']",
            "url = { a = 'hush-7' }",
        ] {
            let error = toml::from_str::<Holder>(text).unwrap_err();
            assert!(!error.message().contains("777777") && !error.message().contains("hush"), "{error}");
            assert!(error.message().contains("this must be a"), "{error}");
        }
        let read: Holder = toml::from_str("tokens = ['a', 'b']\nurl = 'http://a'").unwrap();
        assert_eq!((read.tokens.len(), read.url), (2, Some(Secret::address("http://a"))));
    }
}
