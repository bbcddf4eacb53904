//! A request for scores, read as far as it goes without knowing the model: its parts.
//!
//! The parts keep their text: the format of `data` depends on the model, whose name may follow it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::problem::{Problem, shown};

/// The deepest nesting of brackets. Rows in a list in an object are three.
const MAX_DEPTH: usize = 32;

/// The parts of a request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The model's name.
    pub model: Cow<'a, str>,
    /// The rows.
    pub(super) data: &'a RawValue,
    /// When they were measured.
    pub(super) timestamps: Option<&'a RawValue>,
    /// Whether anomalies are explained.
    pub explain: bool,
}

/// The fields of the body; null counts as missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamps: Option<&'a RawValue>,
    #[serde(borrow)]
    explain: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// 400 if it is no JSON, 422 if it is another object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let Body { model, data, timestamps, explain } =
            serde_json::from_slice(body).map_err(|error| of_body(body, &error))?;
        // serde reads a list of the fields, too.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(no_object());
        }
        let missing = |field| Problem::of_field(field, "it is missing");
        let model = model.ok_or_else(|| missing("model").hint("name one of GET /api/v1/models"))?;
        let data = data.ok_or_else(|| missing("data").hint("a list of rows, each a list of numbers or an object"))?;
        let model = name(model.get())
            .ok_or_else(|| Problem::of_field("model", "it must be a text").hint("name one of GET /api/v1/models"))?;
        let explain = match explain.map(RawValue::get) {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(Problem::of_field("explain", "it must be true or false")),
        };
        Ok(Self { model, data, timestamps, explain })
    }
}

/// A JSON string; borrowed if nothing in it is escaped.
fn name(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(json).ok().map(|Name(name)| name)
}

fn no_object() -> Problem {
    Problem::new(422, "the body must be an object").hint(r#"{"model": "NAME", "data": [[1, 2, 3]]}"#)
}

/// What is wrong with a body as a whole.
fn of_body(body: &[u8], error: &serde_json::Error) -> Problem {
    if error.classify() != serde_json::error::Category::Data {
        return Problem::of_json(error);
    }
    if let Some(problem) = too_deep(body) {
        return problem;
    }
    let what = error.to_string();
    let field = what.split('`').nth(1).unwrap_or_default();
    let known = ["model", "data", "timestamps", "explain"];
    if what.starts_with("duplicate field") {
        Problem::of_field(shown(field), "it is there twice")
    } else if what.starts_with("unknown field") {
        let hint = format!("known are {}", known.join(", "));
        Problem::of_field(shown(field), "there is no such field").hint(hint)
    } else {
        no_object()
    }
}

/// Whether brackets are nested too deeply; it is only checked if something is wrong.
pub(super) fn too_deep(json: &[u8]) -> Option<Problem> {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let deep = || Problem::new(400, format!("the body has {deepest} brackets in one another"));
    (deepest > MAX_DEPTH).then(|| deep().hint("`data` is a list of rows, each a list of numbers or an object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_in_any_order() {
        let request =
            Request::parse(br#" {"explain":true,"data":[[1]],"timestamps":null,"model":"h\u006fst"}"#).unwrap();
        assert_eq!((&*request.model, request.data.get(), request.explain), ("host", "[[1]]", true));
        assert!(request.timestamps.is_none());
        assert!(matches!(Request::parse(br#"{"model":"a","data":1}"#).unwrap().model, Cow::Borrowed("a")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let open = format!(r#"{{"data":{}"#, "[".repeat(1_000_000));
        for (body, status, field, what) in [
            ("", 400, None, "EOF"),
            ("{\"model\":", 400, None, "EOF"),
            ("{\"model\":\"a\"} x", 400, None, "trailing"),
            ("{\"model\":nul}", 400, None, "no JSON"),
            (&open, 400, None, "EOF"),
            (&deep, 400, None, "100001 brackets"),
            ("[\"a\",[[1]],null,false]", 422, None, "must be an object"),
            ("7", 422, None, "must be an object"),
            ("{}", 422, Some("model"), "missing"),
            ("{\"model\":null}", 422, Some("model"), "missing"),
            ("{\"model\":\"a\"}", 422, Some("data"), "missing"),
            ("{\"model\":7,\"data\":[]}", 422, Some("model"), "must be a text"),
            ("{\"model\":\"a\",\"data\":[],\"explain\":1}", 422, Some("explain"), "true or false"),
            ("{\"model\":\"a\",\"model\":\"b\"}", 422, Some("model"), "twice"),
            ("{\"modle\":\"a\"}", 422, Some("modle"), "no such field"),
        ] {
            let problem = Request::parse(body.as_bytes()).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (status, field), "{}", problem.error);
            assert!(problem.error.contains(what), "{}", problem.error);
        }
        assert_eq!(Request::parse(b"{\"model\":\"\xff\",\"data\":[]}").unwrap_err().status, 400);
        let problem = Request::parse(b"{\n\"model\": x}").unwrap_err();
        assert_eq!((problem.line, problem.column), (Some(2), Some(10)));
    }
}
