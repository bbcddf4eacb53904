//! The same Python code twice: as a plugin in qualm, and in `CPython` as a processor that Telegraf would start.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use qualm_tests::config::quoted;
use qualm_tests::tools;

use crate::guests::Shop;
use crate::online::{BLOCK, WARM_UP};
use crate::rows::{SERIES, STEP, Values};
use crate::{BATCHES, Effort, by_turns, median};

pub(crate) fn measure(shop: &Shop, effort: Effort) {
    let script = tools::workspace().join("tests/bench/plugins/leak_execd.py");
    let version = Command::new("python3").arg("--version").output();
    let Ok(version) = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()) else {
        return println!("\nnot measured beside CPython: no python3 here");
    };
    let mut python = Processor::start(Command::new("python3").arg(script));
    let mut qualm = Processor::start(&mut inline(shop));
    println!("\n| lines a write | leak in qualm | the same in {version} | qualm / Python |\n|---|---|---|---|");
    for lines in BATCHES {
        let writes = (effort.rows / 4 / lines).max(1);
        let turns = by_turns(
            effort.turns,
            writes * lines,
            [&mut || qualm.push(lines, writes, STEP), &mut || python.push(lines, writes, STEP)],
        );
        let [ours, theirs] = [0, 1].map(|at| median(&turns, |turn| turn[at]) / 1e3);
        let ratio = median(&turns, |turn| turn[0] / turn[1]);
        println!("| {lines} | {ours:.2} µs a line | {theirs:.2} µs a line | {ratio:.2} |");
    }
    for processor in [&qualm, &python] {
        assert!(processor.line.contains("anomaly_score="), "no score: {}", processor.line);
    }
}

/// `qualm execd` with the plugin, which is compiled already.
fn inline(shop: &Shop) -> Command {
    let leak = shop.plugin("leak");
    let model = shop.site.path("model");
    let mut pack = Command::new(&shop.qualm);
    pack.args(["plugin", "pack"])
        .arg(&leak.file)
        .arg("--out")
        .arg(&model)
        .env("XDG_CACHE_HOME", shop.site.path("cache"));
    assert!(pack.stdout(Stdio::null()).status().expect("it runs").success());
    let config = format!("[[detector]]\nname = \"leak\"\nmodel = {}\n[limits]\ndeadline = \"10s\"\n", quoted(&model));
    let mut execd = Command::new(&shop.qualm);
    execd.args(["execd", "--config"]).arg(shop.site.write("qualm.toml", config));
    execd.env("XDG_CACHE_HOME", shop.site.path("cache")).stderr(Stdio::null());
    execd
}

/// A program that gives back each line.
struct Processor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    values: Values,
    /// The last that it gave back.
    line: String,
}

impl Processor {
    /// Starts it, and has it score.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("it is piped")));
        let mut started = Self { child, stdin, stdout, values: Values::new(), line: String::new() };
        started.push(SERIES, WARM_UP, BLOCK);
        started
    }

    /// So many writes of so many lines, each of which is read before the next.
    fn push(&mut self, lines: usize, writes: usize, step: i64) {
        let mut text = String::new();
        for _ in 0..writes {
            text.clear();
            for _ in 0..lines {
                let (series, time, value) = self.values.next(step);
                writeln!(text, "mem,host=h{series} used={value} {time}").expect("text can be appended to");
            }
            self.stdin.as_mut().expect("it is open").write_all(text.as_bytes()).expect("the program reads on");
            for _ in 0..lines {
                self.line.clear();
                assert!(self.stdout.read_line(&mut self.line).expect("stdout can be read") > 0, "the program ended");
            }
        }
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ends_with_its_input = self.child.wait();
    }
}
