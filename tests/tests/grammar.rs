//! Lines are parsed as by Telegraf's own parser: which are metrics, where each ends, its fields, and where fields can be
//! spliced. `GRAMMAR_LINES` is the number of lines, `GRAMMAR_SEED` their seed; `make soak` compares ten million.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fastrand::Rng;
use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::glob::Globs;
use qualm_pipeline::line::is_verdict;
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use qualm_tests::tools;

/// The default number of lines.
const LINES: usize = 100_000;

/// The time of lines without a timestamp.
const NOW: i64 = 42;

const VERDICT: &[u8] = b",anomaly_score=0.5,is_anomaly=0i";

#[test]
fn lines_are_read_as_telegraf_reads_them() {
    let Some(program) = tools::grammar() else { return };
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let lines = number("GRAMMAR_LINES").map_or(LINES, |lines| lines as usize);
    let mut rng = Rng::with_seed(number("GRAMMAR_SEED").unwrap_or(7));
    let mut parser = Parser::start(Command::new(program));
    // Booleans are selected by name, so that they are compared too.
    let selector = Selector { include_fields: Globs::new(["*"]).unwrap(), ..Selector::default() };
    let mut pipeline = Pipeline::new(vec![Lane::new(selector, Limits { max_series: 1000, ttl: i64::MAX })], 7);
    let (mut seen, mut metrics) = (0, 0);
    while seen < lines {
        let (document, count) = document(&mut rng);
        let events = parser.read(&document);
        let (splices, rows) = expected(&events);
        let mut wanted = document.clone();
        for at in splices.iter().rev() {
            wanted.splice(at..at, VERDICT.iter().copied());
        }
        let split = rng.usize(..=document.len());
        let (out, scored) = through(&mut pipeline, &[&document[..split], &document[split..]]);
        let text = String::from_utf8_lossy;
        assert_eq!(text(&out), text(&wanted), "{:?}, split at {split}", text(&document));
        assert_eq!(scored, rows, "{:?}", text(&document));
        seen += count;
        metrics += events.len();
    }
    assert!(metrics * 4 > lines && metrics < lines, "{metrics} of {lines}: both kinds are needed");
}

/// A field of a metric: its key, its kind (0 number, 1 boolean, 2 text) and its value's bits.
type Field = (Vec<u8>, u8, u64);

/// A metric, as Telegraf's parser found it.
struct Event {
    fields_end: usize,
    time: Option<i64>,
    fields: Vec<Field>,
}

/// A row: the field's key, its value's bits, its time.
type Row = (String, u64, i64);

/// The offsets of verdicts, and the rows that are scored.
fn expected(events: &[Event]) -> (Vec<usize>, Vec<Row>) {
    let (mut splices, mut rows) = (Vec::new(), Vec::new());
    for event in events.iter().filter(|event| event.fields.iter().all(|(key, ..)| !is_verdict(key))) {
        let before = rows.len();
        for (at, (key, kind, value)) in event.fields.iter().enumerate() {
            let is_last = event.fields[at + 1..].iter().all(|(later, ..)| later != key);
            if *kind < 2 && is_last {
                rows.push((String::from_utf8_lossy(key).into_owned(), *value, event.time.unwrap_or(NOW)));
            }
        }
        // Of several fields with one key the row has the place of the first.
        rows[before..].sort();
        if rows.len() > before {
            splices.push(event.fields_end);
        }
    }
    (splices, rows)
}

struct ConstantScorer;

impl BatchScorer for ConstantScorer {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 0.5);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// The output, and the rows that were scored.
fn through(pipeline: &mut Pipeline, pieces: &[&[u8]]) -> (Vec<u8>, Vec<Row>) {
    let (mut out, mut rows) = (Vec::new(), Vec::new());
    let mut take = |pipeline: &Pipeline| {
        let row = |v: &qualm_pipeline::pipeline::Verdict<'_>| {
            (String::from_utf8_lossy(v.key).into_owned(), v.values[0].to_bits(), v.time)
        };
        let mut scored: Vec<(u64, Row)> = pipeline.verdicts().map(|v| (v.event, row(&v))).collect();
        scored.sort();
        rows.extend(scored.into_iter().map(|(_, row)| row));
    };
    for piece in pieces {
        pipeline.input()[..piece.len()].copy_from_slice(piece);
        out.extend_from_slice(pipeline.run(piece.len(), NOW, &mut [ConstantScorer]));
        take(pipeline);
    }
    out.extend_from_slice(pipeline.finish(NOW, &mut [ConstantScorer]));
    take(pipeline);
    (out, rows)
}

/// A document with its number of lines: mostly valid ones, with some bytes inserted, removed or replaced.
fn document(rng: &mut Rng) -> (Vec<u8>, usize) {
    const ODD: &[u8] = b" \t\x0b\x0c\r\n,,==\\\\\"\"#-+.eEiut0179am\0\xff";
    let lines = rng.usize(1..30);
    let mut document: Vec<u8> = (0..lines).flat_map(|_| line(rng)).collect();
    // In every second document only one line in thirty is changed.
    let changes = if rng.bool() { lines / 30 + 1 } else { lines };
    for _ in 0..changes {
        let at = rng.usize(..document.len());
        let byte = ODD[rng.usize(..ODD.len())];
        match rng.u8(..4) {
            0 => document[at] = byte,
            1 if document.len() > 1 => {
                document.remove(at);
            }
            _ => document.insert(at, byte),
        }
    }
    if rng.u8(..4) == 0 {
        document.truncate(rng.usize(1..=document.len()));
    }
    (document, lines)
}

fn line(rng: &mut Rng) -> Vec<u8> {
    const NAMES: [&str; 18] = [
        "m", "cpu", "v", "w", "a b", "é", "x\\", "\\\\", "a\\ b", "a\\,b", "a\\=b", "q\"", "#", "a=b", "\\x", "a\\\\ ",
        "n\0", "1",
    ];
    const VALUES: [&str; 44] = [
        "1",
        "0",
        "-1",
        "2.5",
        "1.",
        ".5",
        "-.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e\"5",
        "1e400",
        "1e-400",
        "007",
        "42i",
        "-42i",
        "0i",
        "-0i",
        "007i",
        "42u",
        "-1u",
        "0u",
        "9223372036854775808i",
        "18446744073709551615u",
        "t",
        "F",
        "true",
        "TRUE",
        "tRue",
        "nan",
        "+1",
        "0x1",
        "1_0",
        "-",
        ".",
        "\"\"",
        "\"text\"",
        "\"two\nlines\"",
        "\"a\\\"b\"",
        "\"a\\\\\"",
        "\"a\\nb\"",
        "\"m v=1 2\"",
        "\"a\r\nb\"",
        "\"a\\\nb\"",
    ];
    const TIMES: [&str; 8] = [
        "",
        "5",
        "-5",
        "1700000000000000000",
        "0000000000000000005",
        "00000000000000000005",
        "9223372036854775808",
        "1.5",
    ];
    const SPACES: [&str; 8] = [" ", " ", " ", " ", "\t", "\x0b", "\x0c", "  "];
    const ENDS: [&str; 6] = ["\n", "\n", "\n", "\r\n", " \n", "\r"];
    // A quarter of the parts is unusual, so that most lines have none or one.
    let pick = |rng: &mut Rng, of: &[&'static str], plain: usize| {
        let most = if rng.u8(..4) == 0 { of.len() } else { plain };
        of[rng.usize(..most)]
    };
    let mut text = String::new();
    match rng.u8(..40) {
        0 => text.push_str("# a \"comment"),
        1 => text.push_str(pick(rng, &["", " ", "\t", "\r"], 1)),
        _ => {
            text.push_str(pick(rng, &["", " ", "\t", ","], 1));
            text.push_str(pick(rng, &NAMES, 2));
            for _ in 0..rng.usize(..3) {
                let (key, value) = (pick(rng, &NAMES, 4), pick(rng, &NAMES, 4));
                text += &[",", key, "=", value].concat();
            }
            text.push_str(pick(rng, &[" ", " ", "\t", "\x0b", "\x0c", "  ", ", "], 2));
            for at in 0..rng.usize(1..5) {
                let (comma, key) = (if at > 0 { "," } else { "" }, pick(rng, &NAMES, 4));
                let key = if rng.u8(..60) == 0 { "anomaly_score" } else { key };
                text += &[comma, key, "=", pick(rng, &VALUES, 9)].concat();
            }
            text.push_str(pick(rng, &SPACES, 4));
            text.push_str(pick(rng, &TIMES, 4));
        }
    }
    text.push_str(pick(rng, &ENDS, 3));
    text.into_bytes()
}

/// Telegraf's parser in a process of its own: `tests/telegraf/grammar` documents its input and output.
struct Parser {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Parser {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn read(&mut self, document: &[u8]) -> Vec<Event> {
        let length = (document.len() as u32).to_le_bytes();
        self.stdin.write_all(&[&length, document].concat()).unwrap();
        (0..self.number()).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        let fields_end = self.number() as usize;
        let [timed] = self.bytes();
        let time = i64::from_le_bytes(self.bytes());
        let fields = (0..self.number()).map(|_| self.field()).collect();
        Event { fields_end, time: (timed == 1).then_some(time), fields }
    }

    fn field(&mut self) -> Field {
        let mut key = vec![0; self.number() as usize];
        self.stdout.read_exact(&mut key).unwrap();
        let [kind] = self.bytes();
        (key, kind, u64::from_le_bytes(self.bytes()))
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stdout.read_exact(&mut bytes).unwrap();
        bytes
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
