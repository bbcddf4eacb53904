//! Authentication: a request needs one of the tokens.

use std::borrow::Cow;
use std::sync::Arc;

use ct_codecs::{Base64, Decoder as _};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use qualm_bundle::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::error::Error;

/// The parameters of a query for the user, and for the password, which is the token.
const CREDENTIALS: [&str; 2] = ["u", "p"];

pub(crate) struct Tokens {
    known: Vec<Arc<Secret>>,
}

impl Tokens {
    pub(crate) fn new(tokens: Vec<Secret>) -> Result<Self, Error> {
        let unusable = |token: &str| token.is_empty() || token.trim() != token;
        match tokens.iter().map(Secret::reveal).position(unusable) {
            Some(number) => Err(Error::Token(number + 1)),
            None => Ok(Self { known: tokens.into_iter().map(Arc::new).collect() }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The token of a request, if it has one of ours. `Bearer` is the standard's scheme, `Token` that of InfluxDB's clients;
    /// older ones send a user and a password, as `Basic`, as `Token user:password` or as `?u=user&p=password`: the password is
    /// the token. The parameter's name must not be encoded: programs that hide secrets in addresses search for `p=`.
    pub(crate) fn find_in_request(&self, parts: &Parts) -> Option<Arc<Secret>> {
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
        let by_query = || {
            let password = parts.uri.query()?.split('&').find(|pair| pair.starts_with("p="))?;
            self.find(&decoded(password).1)
        };
        by_header.or_else(by_query).cloned()
    }

    /// A query without credentials: user and password, however their names are encoded, and whatever is set to a token.
    pub(crate) fn strip_credentials(&self, query: &str) -> String {
        // Some servers separate pairs by semicolons.
        let is_ours = |pair: &&str| {
            pair.split(';').any(|pair| {
                let (name, value) = decoded(pair);
                CREDENTIALS.contains(&&*name) || self.find(&name).is_some() || self.find(&value).is_some()
            })
        };
        query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair)).collect::<Vec<_>>().join("&")
    }

    /// Compares with every token in constant time.
    fn find(&self, secret: &str) -> Option<&Arc<Secret>> {
        let equal = |token: &Secret| bool::from(token.reveal().as_bytes().ct_eq(secret.as_bytes()));
        self.known.iter().fold(None, |found, token| if equal(token) { Some(token) } else { found })
    }
}

/// The name and the value of one pair of a query.
fn decoded(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    form_urlencoded::parse(pair.as_bytes()).next().unwrap_or_default()
}

/// The password of `user:password` in Base64.
fn password(basic: &str) -> Option<String> {
    let decoded = Base64::decode_to_vec(basic, None).ok()?;
    Some(str::from_utf8(&decoded).ok()?.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(texts: &[&str]) -> Tokens {
        Tokens::new(texts.iter().map(|text| Secret::token(*text)).collect()).unwrap()
    }

    #[test]
    fn each_client_brings_its_token_in_its_own_way() {
        let tokens = tokens(&["first", "se:cond"]);
        let brought = |authorization: &str, uri: &str| {
            let request = hyper::Request::builder().uri(uri).header(AUTHORIZATION, authorization).body(()).unwrap();
            tokens.find_in_request(&request.into_parts().0).map(|token| token.reveal().to_owned())
        };
        for (authorization, expected) in [
            ("Bearer first", Some("first")),
            ("bearer  first ", Some("first")),
            ("Token se:cond", Some("se:cond")),
            ("Token user:first", Some("first")),
            ("Token user:se:cond", Some("se:cond")),
            ("Basic dXNlcjpmaXJzdA==", Some("first")),
            ("Basic Zmlyc3Q6", None),
            ("Basic !", None),
            ("Bearer firs", None),
            ("Bearer firsta", None),
            ("Bearer ", None),
            ("first", None),
            ("", None),
        ] {
            assert_eq!(brought(authorization, "/").as_deref(), expected, "{authorization}");
        }
        assert_eq!(brought("", "/write?db=x&u=user&p=se%3Acond").as_deref(), Some("se:cond"));
        for none in ["p=", "%70=first", "token=first", "%74oken=first", "P=first", "x;p=first", "p", "up=first"] {
            assert_eq!(brought("", &format!("/write?{none}")), None, "{none}");
        }
    }

    #[test]
    fn no_credentials_stay_in_a_query_however_they_are_written() {
        let tokens = tokens(&["our-own-token"]);
        for credentials in [
            "u=x",
            "p=our-own-token",
            "p=another",
            "%75=x",
            "%70=our-own-token",
            "%2570=our-own-token",
            "token=our-own-token",
            "%74oken=our-own-token",
            "x=our%2Down%2dtoken",
            "our-own-token",
            "our-own-token=",
            "x=y;p=our-own-token",
            "p",
        ] {
            let query = format!("db=a%20b&{credentials}&&precision=s");
            assert_eq!(tokens.strip_credentials(&query), "db=a%20b&precision=s", "{credentials}");
        }
        let others = "db=d&rp=our-own&up=1&pretty=true&user=x&x=y;z";
        assert_eq!(tokens.strip_credentials(others), others);
    }

    #[test]
    fn a_token_that_everybody_has_is_refused() {
        assert!(matches!(Tokens::new(vec![Secret::token("a"), Secret::token("")]), Err(Error::Token(2))));
        assert!(Tokens::new(vec![Secret::token("a\n")]).is_err());
    }
}
