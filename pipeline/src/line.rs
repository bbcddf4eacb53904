//! Line protocol: where an event ends, and what it contains, as views into the input.
//!
//! The grammar is that of Telegraf's parser, which reads the output, to the byte (`tests/tests/grammar.rs` compares the
//! two). An event that is not understood passes unchanged, without a score.

use memchr::{memchr, memchr2, memrchr};

use crate::field::{Field, Value};
use crate::field_dedup::FieldDedup;
use crate::grammar::{Grammar, StringEnd, is_space};

/// The fields that a verdict adds, or an anomaly rate has. An event that has one of them was scored upstream.
pub const VERDICT_KEYS: [&[u8]; 8] = [
    b"anomaly_score",
    b"is_anomaly",
    b"anomaly_cause",
    b"anomaly_rate",
    b"anomaly_reason",
    b"anomaly_expected",
    b"anomaly_lower",
    b"anomaly_upper",
];

/// Whether a field with this key means that the event was scored upstream.
#[must_use]
pub fn is_verdict(key: &[u8]) -> bool {
    matches!(key, [b'a' | b'i', ..]) && VERDICT_KEYS.contains(&key)
}

/// The end of the event at the beginning of `bytes`: the offset after its newline. `None` while it has not arrived.
///
/// A raw newline inside a string field belongs to the event. A quote opens a string only where a field's value starts;
/// anywhere else (in a tag, in a field's key) it is an ordinary character.
#[must_use]
pub fn event_end(bytes: &[u8], grammar: Grammar) -> Option<usize> {
    let first = memchr2(b'\n', b'"', bytes)?;
    if bytes[first] == b'\n' { Some(first + 1) } else { event_end_quoted(bytes, grammar) }
}

/// [`event_end`] for an event that has a quote before its first newline: its fields are parsed to find
/// strings, unless the last quote shows that none is open. If they are malformed, the event ends at the next newline, as in
/// Telegraf's parser.
fn event_end_quoted(bytes: &[u8], grammar: Grammar) -> Option<usize> {
    let newline_from = |at: usize| memchr(b'\n', &bytes[at..]).map(|newline| at + newline + 1);
    let end = newline_from(0)?;
    let line = &bytes[..end];
    // If a string is still open, the last quote has opened it, after an `=`, or is escaped.
    let last = memrchr(b'"', line).filter(|&last| last > 0);
    if last.is_some_and(|last| !matches!(line[last - 1], b'=' | b'\\')) {
        return Some(end);
    }
    let indent = skip_spaces(line, 0);
    let head = grammar.head_end(&line[indent..]).filter(|_| line.get(indent) != Some(&b'#'));
    let Some(head) = head else { return newline_from(0) };
    let mut at = skip_spaces(bytes, indent + head);
    loop {
        let Some(equals) = key_end(bytes, at) else { return newline_from(at) };
        at = if bytes.get(equals + 1) == Some(&b'"') {
            match grammar.string_end(bytes, equals + 1) {
                StringEnd::Closed(end) => end,
                StringEnd::Broken(at) => return newline_from(at),
                StringEnd::Open => return None,
            }
        } else {
            let Some((_, end)) = read_value(bytes, equals + 1, grammar) else { return newline_from(equals + 1) };
            end
        };
        if bytes.get(at) != Some(&b',') {
            return newline_from(at);
        }
        at += 1;
    }
}

/// Where the head (measurement and tags) of an event that starts with it most likely ends: at the first space that no
/// backslash precedes. [`Grammar::head_end`] confirms it.
#[must_use]
pub fn head_guess(event: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b' ', event).find(|&at| at == 0 || event[at - 1] != b'\\')
}

/// The parts of a head: the measurement, then each `key=value` pair, in their order.
pub fn head_parts(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let head = rest?;
        let comma = memchr::memchr_iter(b',', head).find(|&at| at == 0 || head[at - 1] != b'\\');
        rest = comma.map(|at| &head[at + 1..]);
        Some(&head[..comma.unwrap_or(head.len())])
    })
}

/// A tag's key and value, both still escaped.
#[must_use]
pub fn tag(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr_iter(b'=', part).find(|&at| at == 0 || part[at - 1] != b'\\')?;
    Some((&part[..equals], &part[equals + 1..]))
}

/// A name without the backslashes that line protocol needs before `,`, `=` and space.
#[must_use]
pub fn unescape(name: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if memchr(b'\\', name).is_none() {
        return name.into();
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match bytes.peek() {
            Some(b',' | b'=' | b' ') if byte == b'\\' => {}
            _ => plain.push(byte),
        }
    }
    plain.into()
}

/// What stands in an event besides its head and its numeric fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// The offset behind the last field's value: where more fields can be spliced in.
    pub fields_end: usize,
    /// Nanoseconds since 1970, where the event has a time.
    pub time: Option<i64>,
}

/// Why an event's fields were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not line protocol as Telegraf's parser takes it.
    Malformed,
    /// It has one of the [`VERDICT_KEYS`].
    AlreadyScored,
}

/// Reads an event that begins with its head, as Telegraf does: where that ends, and what [`read_body`] finds behind it.
///
/// # Errors
///
/// Why the event cannot be scored; `fields` is then undefined.
pub fn read_event(event: &[u8], fields: &mut Vec<Field>) -> Result<(usize, Body), Refusal> {
    let head = Grammar::Telegraf.head_end(event).ok_or(Refusal::Malformed)?;
    Ok((head, read_body(event, head, Grammar::Telegraf, fields)?))
}

/// Reads the fields and the time of `event`, whose head ends at `head_end`, into `fields`: numbers and booleans. Of
/// several with one key the last one counts, as in Telegraf and InfluxDB.
///
/// # Errors
///
/// Why the event cannot be scored; `fields` is then undefined.
pub fn read_body(event: &[u8], head_end: usize, grammar: Grammar, fields: &mut Vec<Field>) -> Result<Body, Refusal> {
    fields.clear();
    let mut field_dedup = FieldDedup::default();
    let event = trim_newline(event);
    let mut at = skip_spaces(event, head_end);
    loop {
        let equals = key_end(event, at).ok_or(Refusal::Malformed)?;
        if is_verdict(&event[at..equals]) {
            return Err(Refusal::AlreadyScored);
        }
        let (value, end) = read_value(event, equals + 1, grammar).ok_or(Refusal::Malformed)?;
        field_dedup.push_field(event, fields, &event[at..equals], at, value);
        at = end;
        if event.get(at) != Some(&b',') {
            break;
        }
        at += 1;
    }
    FieldDedup::finish(event, fields);
    let time = read_time(&event[at..])?;
    Ok(Body { fields_end: at, time })
}

/// The event without its line end, `\n` or `\r\n`; at the end of the input half of that does.
fn trim_newline(event: &[u8]) -> &[u8] {
    let event = event.strip_suffix(b"\n").unwrap_or(event);
    event.strip_suffix(b"\r").unwrap_or(event)
}

fn skip_spaces(event: &[u8], from: usize) -> usize {
    from + event[from..].iter().take_while(|b| is_space(**b)).count()
}

/// The offset of the `=` that ends the field key at `from`. In a key a backslash escapes any next byte,
/// another backslash included.
fn key_end(event: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match *event.get(at)? {
            b'=' => return (at > from).then_some(at),
            b'\\' if !event.get(at + 1).is_some_and(|byte| matches!(byte, b'\t'..=b'\r')) => at += 2,
            b'\\' | b',' | b' ' | b'\t'..=b'\r' => return None,
            _ => at += 1,
        }
    }
}

/// The field value at `from`, and the offset after it. `None` if it is invalid.
fn read_value(event: &[u8], from: usize, grammar: Grammar) -> Option<(Value, usize)> {
    let text = event.get(from..)?;
    match *text.first()? {
        b'"' => match grammar.string_end(event, from) {
            StringEnd::Closed(end) => Some((Value::Text, end)),
            StringEnd::Broken(_) | StringEnd::Open => None,
        },
        b'0'..=b'9' | b'-' | b'.' => {
            let (value, length) = read_float(text).or_else(|| read_integer(text))?;
            Some((Value::Number(value), from + length))
        }
        _ => {
            let length = value_length(text);
            Some((Value::Boolean(read_boolean(&text[..length])?), from + length))
        }
    }
}

/// How long the field value at the start of `text` is, unless it is a string.
fn value_length(text: &[u8]) -> usize {
    text.iter().position(|&byte| ends_value(byte)).unwrap_or(text.len())
}

const fn ends_value(byte: u8) -> bool {
    matches!(byte, b',' | b'\n') || is_space(byte)
}

/// A float at the start of `text`, and its length. It must begin with a digit or a point, after an optional minus,
/// so that `+`, `inf` and `nan`, which other parsers accept, are excluded.
fn read_float(text: &[u8]) -> Option<(f64, usize)> {
    let first = if text[0] == b'-' { text.get(1)? } else { &text[0] };
    if !matches!(first, b'0'..=b'9' | b'.') {
        return None;
    }
    let (value, length) = fast_float2::parse_partial::<f64, _>(text).ok()?;
    (text.get(length).is_none_or(|&byte| ends_value(byte)) && value.is_finite()).then_some((value, length))
}

/// An integer with its suffix `i`, or an unsigned one with `u`, at the start of `text`, and its length. Telegraf refuses
/// a zero before other digits here (and takes it in a float).
fn read_integer(text: &[u8]) -> Option<(f64, usize)> {
    let length = value_length(text);
    let (&suffix, digits) = text[..length].split_last()?;
    let magnitude = digits.strip_prefix(b"-").unwrap_or(digits);
    if !magnitude.iter().all(u8::is_ascii_digit) || (magnitude.len() > 1 && magnitude[0] == b'0') {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    let value = match suffix {
        b'i' => digits.parse::<i64>().ok()? as f64,
        b'u' => digits.parse::<u64>().ok()? as f64,
        _ => return None,
    };
    Some((value, length))
}

fn read_boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// The most digits of a timestamp, with leading zeros.
const MAX_TIME_DIGITS: usize = 19;

/// The timestamp in `rest`, which follows the fields; `None` if that is empty.
fn read_time(rest: &[u8]) -> Result<Option<i64>, Refusal> {
    let start = skip_spaces(rest, 0);
    if start == rest.len() {
        return Ok(None);
    }
    let length = rest[start..].iter().position(|&b| is_space(b)).unwrap_or(rest.len() - start);
    let digits = &rest[start..start + length];
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    let alone = start > 0 && skip_spaces(rest, start + length) == rest.len();
    if !alone || !(1..=MAX_TIME_DIGITS).contains(&unsigned.len()) || !unsigned.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Refusal::Malformed)?;
    digits.parse().map(Some).map_err(|_| Refusal::Malformed)
}

/// The number of line ends in `bytes`.
#[must_use]
pub fn count_newlines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numeric fields, the time, and where the fields end.
    type Read = (Vec<(String, f64)>, Option<i64>, usize);

    fn read(event: &str) -> Result<Read, Refusal> {
        let bytes = event.as_bytes();
        let head = Grammar::Telegraf.head_end(bytes).ok_or(Refusal::Malformed)?;
        let mut fields = Vec::new();
        let body = read_body(bytes, head, Grammar::Telegraf, &mut fields)?;
        let named = fields
            .iter()
            .filter(|f| !f.boolean)
            .map(|f| (String::from_utf8_lossy(f.key(bytes)).into_owned(), f.value))
            .collect();
        Ok((named, body.time, body.fields_end))
    }

    fn fields(event: &str) -> Vec<(String, f64)> {
        read(event).unwrap().0
    }

    #[test]
    fn numbers_are_read_as_telegraf_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            ("-1", -1.0),
            ("1e5", 1e5),
            ("1E+5", 1e5),
            ("1e-5", 1e-5),
            ("1.", 1.0),
            (".5", 0.5),
            ("-.5", -0.5),
            ("007", 7.0),
            ("42i", 42.0),
            ("-42i", -42.0),
            ("42u", 42.0),
            ("0i", 0.0),
            ("0u", 0.0),
            ("18446744073709551615u", 18_446_744_073_709_551_615.0),
            ("97.97979797979798", 97.979_797_979_797_98),
        ] {
            assert_eq!(fields(&format!("m v={text} 1")), [("v".to_owned(), value)], "{text}");
        }
        for text in ["t", "T", "true", "True", "TRUE", "f", "FALSE", "\"text\"", "\"\"", r#""a\"b\\""#, "\"a\nb\""] {
            assert_eq!(fields(&format!("m v={text},w=2 1")), [("w".to_owned(), 2.0)], "{text}");
        }
    }

    #[test]
    fn what_telegraf_refuses_is_refused() {
        for event in [
            "m v=+1 1",
            "m v=007i 1",
            "m v=NaN 1",
            "m v=1e400 1",
            "m v=inf 1",
            "m v=-inf 1",
            "m v=-nan 1",
            "m v=- 1",
            "m v= 1",
            "m v 1",
            "m =1 1",
            "m v=1, 1",
            "m v=1 1.5",
            "m v=1 1 2",
            "m v=1 99999999999999999999",
            "m v=1 00000000000000000001",
            "m v=1,s=\"a\\b\" 1",
            "m,a=1, v=1 1",
            ",a=1 v=1 1",
            "m,a= v=1 1",
            "m,=1 v=1 1",
            "m,a v=1 1",
            "m,a=b=c v=1 1",
            "m\\\tx v=1 1",
            "m,a=b\\\tc v=1 1",
            "m\rx v=1 1",
            "m v=1 -",
            "m v=0x10 1",
            "m v=1_000 1",
            "m v=1f 1",
            "m v=\"open 1",
            "m v\\=1 1",
            "m v=1i5 1",
            "m v=i 1",
            "m v=-i 1",
            "m v=9223372036854775808i 1",
            "m v=-1u 1",
            "m v=truex 1",
            "m",
            "m v=. 1",
            "m v=1e 1",
        ] {
            assert_eq!(read(event), Err(Refusal::Malformed), "{event}");
        }
        for key in VERDICT_KEYS.map(|key| std::str::from_utf8(key).unwrap()) {
            assert_eq!(read(&format!("m v=1,{key}=0 1")), Err(Refusal::AlreadyScored));
        }
    }

    #[test]
    fn fields_end_before_the_time_and_the_line_end() {
        for (event, fields_end, time) in [
            ("m v=1 5\n", 5, Some(5)),
            ("m v=1 -5\r\n", 5, Some(-5)),
            ("m v=1\n", 5, None),
            ("m v=1\r\n", 5, None),
            ("m v=1", 5, None),
            ("m v=1  5 \n", 5, Some(5)),
            ("m v=1 \n", 5, None),
            ("m  v=1 5\n", 6, Some(5)),
        ] {
            let (_, read_time, read_end) = read(event).unwrap();
            assert_eq!((read_end, read_time), (fields_end, time), "{event:?}");
        }
    }

    #[test]
    fn whatever_parts_words_ends_the_head() {
        for space in ["\t", "\x0b", "\x0c", " \t "] {
            let event = format!("m,a=b{space}v=1{space}5{space}\n");
            let (named, time, end) = read(&event).unwrap();
            assert_eq!((named, time, end), (vec![("v".to_owned(), 1.0)], Some(5), 8 + space.len()), "{event:?}");
        }
        // In a measurement a backslash takes the next byte with it, in a tag it does not take a backslash.
        assert_eq!(read(r"m\\ v=1 5").unwrap().2, 7);
        assert_eq!(read(r"m,a=b\\ v=1 5"), Err(Refusal::Malformed));
        assert_eq!(read(r"m\\\ x v=1 5").unwrap().2, 10);
    }

    #[test]
    fn of_several_fields_with_one_key_the_last_one_counts() {
        let named = |fields: &[(&str, f64)]| fields.iter().map(|&(k, v)| (k.to_owned(), v)).collect::<Vec<_>>();
        assert_eq!(fields("m v=1,w=2,v=3 1"), named(&[("v", 3.0), ("w", 2.0)]));
        assert_eq!(fields("m v=1,v=\"x\" 1"), []);
        assert_eq!(fields("m v=\"x\",v=1 1"), named(&[("v", 1.0)]));
        assert_eq!(fields("m v=1,v=t 1"), [], "then it is no number any more");
        // Many fields take another way.
        let many: String = (0..1000).map(|at| format!("f{}={at},", at % 400)).collect();
        let read = fields(&format!("m {many}f7=\"x\" 1"));
        assert_eq!(read.len(), 399);
        assert!(read.iter().all(|(key, value)| *key == format!("f{}", value % 400.0) && *value >= 600.0));
    }

    #[test]
    fn escapes_belong_to_names() {
        assert_eq!(fields(r"m,a=b\ c,d=e\,f v\ w=1,x\,y=2,z\\=3 1").len(), 3);
        let head = br"m\ x,a=b\,c,d\=e=f";
        let parts: Vec<_> = head_parts(head).collect();
        assert_eq!(parts, [br"m\ x".as_slice(), br"a=b\,c", br"d\=e=f"]);
        assert_eq!(tag(parts[2]), Some((br"d\=e".as_slice(), b"f".as_slice())));
        assert_eq!(unescape(br"b\,c\ d\=e\f").as_ref(), br"b,c d=e\f");
        // A backslash before a backslash does not undo the escape: the value is `a\,b`.
        assert_eq!(head_parts(br"m,t=a\\,b").count(), 2);
    }

    #[test]
    fn an_event_ends_at_the_newline_that_is_in_no_string() {
        // A `|` marks where the first event ends; without one it has not ended yet.
        for marked in [
            "m v=1\n|x",
            "m v=1",
            "\n|",
            "m v=\"a\nb\" 1\n|x",
            "m v=\"a\nb",
            "m,t=a\"b v=1\n|x\"\n",
            "m v\"=1\n|x\"",
            "# it's \"quoted\n|\"",
            "m v=\"a\\\"\n\" 1\n|x",
            "m v=\"\\\\\"\n|x\"",
            "no_head\"\n|x\"",
            "m v\\=\"1\n|x\"",
            "m v=1,w=\"\n\",u=\"\n\"\n|x",
            "  \"\n|\"",
            "m v=x,message=\"open\n|m v=1\n\"",
            "m v,message=\"open\n|m v=1\n\"",
            "m a=1 message=\"open\n|m v=1\n\"",
            "m v\\\n|s=\"\n\"",
            "m\ts=\"a\nb\" 1\n|x",
            "m\x0bs=\"a\nb\" 1\n|x",
            "m s=\"a\\x\n|b\"\n",
            "m,a=1, s=\"a\n|b\"\n",
            ",a=1 s=\"a\n|b\"\n",
            "m\\\\ s=\"a\nb\"\n|",
            "m,a=1\\\\ s=\"a\n|b\"\n",
            "",
        ] {
            let end = marked.find('|');
            assert_eq!(event_end(marked.replace('|', "").as_bytes(), Grammar::Telegraf), end, "{marked:?}");
        }
    }
}
