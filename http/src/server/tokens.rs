//! Who may call: those who bring one of the tokens.

use std::borrow::Cow;

use ct_codecs::{Base64, Decoder as _};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use qualm_bundle::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::error::Error;

pub(crate) struct Tokens {
    /// Each with its number.
    known: Vec<(usize, Secret)>,
    /// How many numbers have been given.
    given: usize,
}

impl Tokens {
    pub(crate) fn new(tokens: Vec<Secret>) -> Result<Self, Error> {
        let unusable = |token: &str| token.is_empty() || token.trim() != token;
        match tokens.iter().map(Secret::reveal).position(unusable) {
            Some(number) => Err(Error::Token(number + 1)),
            None => Ok(Self { given: tokens.len(), known: tokens.into_iter().enumerate().collect() }),
        }
    }

    /// The tokens that are to count from now on. Those that have counted keep their numbers, and no other ever gets them:
    /// what belongs to a caller stays theirs.
    pub(crate) fn renewed(&self, next: Self) -> Self {
        let mut given = self.given;
        let number = |(_, token): (usize, Secret)| {
            let known = self.known.iter().find(|(_, known)| *known == token).map(|(number, _)| *number);
            let number = known.unwrap_or_else(|| {
                given += 1;
                given - 1
            });
            (number, token)
        };
        let known = next.known.into_iter().map(number).collect();
        Self { known, given }
    }

    pub(crate) fn none(&self) -> bool {
        self.known.is_empty()
    }

    /// Which token a request brings. `Bearer` is the standard's, `Token` is what InfluxDB's clients say; the older of
    /// those have a user and a password, as `Basic`, as `Token user:password` or as `?u=user&p=password`: the
    /// password is the token.
    pub(crate) fn brought_by(&self, parts: &Parts) -> Option<usize> {
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let by_header = authorization.and_then(|value| value.trim().split_once(' ')).and_then(|(scheme, rest)| {
            let rest = rest.trim();
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => self.find(rest),
                "token" => self.find(rest).or_else(|| self.find(rest.split_once(':')?.1)),
                "basic" => self.find(&password(rest)?),
                _ => None,
            }
        });
        by_header.or_else(|| {
            let query = form_urlencoded::parse(parts.uri.query()?.as_bytes());
            let password: Cow<'_, str> = query.into_iter().find(|(name, _)| name == "p")?.1;
            self.find(&password)
        })
    }

    /// All are compared, each in a time that does not depend on where it differs.
    fn find(&self, secret: &str) -> Option<usize> {
        let equal = |token: &Secret| bool::from(token.reveal().as_bytes().ct_eq(secret.as_bytes()));
        self.known.iter().fold(None, |found, (number, token)| if equal(token) { Some(*number) } else { found })
    }
}

/// The password of `user:password` in Base64.
fn password(basic: &str) -> Option<String> {
    let decoded = Base64::decode_to_vec(basic, None).ok()?;
    Some(str::from_utf8(&decoded).ok()?.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_brings_its_token_in_its_own_way() {
        let tokens = Tokens::new(vec![Secret::token("first"), Secret::token("se:cond")]).unwrap();
        let brought = |authorization: &str, uri: &str| {
            let request = hyper::Request::builder().uri(uri).header(AUTHORIZATION, authorization).body(()).unwrap();
            tokens.brought_by(&request.into_parts().0)
        };
        for (authorization, expected) in [
            ("Bearer first", Some(0)),
            ("bearer  first ", Some(0)),
            ("Token se:cond", Some(1)),
            ("Token user:first", Some(0)),
            ("Token user:se:cond", Some(1)),
            ("Basic dXNlcjpmaXJzdA==", Some(0)),
            ("Basic Zmlyc3Q6", None),
            ("Basic !", None),
            ("Bearer firs", None),
            ("Bearer firsta", None),
            ("Bearer ", None),
            ("first", None),
            ("", None),
        ] {
            assert_eq!(brought(authorization, "/"), expected, "{authorization}");
        }
        assert_eq!(brought("", "/write?db=x&u=user&p=se%3Acond"), Some(1));
        assert_eq!(brought("", "/write?p="), None);
    }

    #[test]
    fn a_renewed_token_keeps_its_number_and_a_new_one_has_its_own() {
        let tokens = |texts: &[&str]| Tokens::new(texts.iter().map(|text| Secret::token(*text)).collect()).unwrap();
        let first = tokens(&["a", "b"]);
        let second = first.renewed(tokens(&["b", "c"]));
        let third = second.renewed(tokens(&["a", "b"]));
        assert_eq!((second.find("a"), second.find("b"), second.find("c")), (None, Some(1), Some(2)));
        assert_eq!((third.find("a"), third.find("b"), third.find("c")), (Some(3), Some(1), None));
    }

    #[test]
    fn a_token_that_everybody_has_is_refused() {
        assert!(matches!(Tokens::new(vec![Secret::token("a"), Secret::token("")]), Err(Error::Token(2))));
        assert!(Tokens::new(vec![Secret::token("a\n")]).is_err());
    }
}
