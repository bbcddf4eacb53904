//! All attacks, with their expected outcomes.

use std::sync::{Arc, LazyLock};

use qualm_sandbox::error::LoadError;
use qualm_sandbox::{DetectorSpec, Limits, Sandbox, Title};

use crate::components::{ALL_OF_WASI, Core, deep, exponential, nest, transcode};
use crate::support::LIMITS;

/// The component that attacks.
pub(crate) enum Attacker {
    /// `plugins/hostile` with this model.
    Model(&'static str),
    /// Another component.
    Component(fn() -> Vec<u8>),
}

/// The expected outcome.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// It fails in batches or between them, and is counted under this reason.
    Fails(&'static str),
    /// It has no effect on others.
    Harmless,
    /// It fails with this reason when it is opened as a model.
    NotOpened(&'static str),
    /// It is refused before compilation with this error.
    NotCompiled(&'static str),
}

pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) attacker: Attacker,
    pub(crate) expected: Expected,
}

const fn model(name: &'static str, model: &'static str, expected: Expected) -> Attack {
    Attack { name, attacker: Attacker::Model(model), expected }
}

const fn component(name: &'static str, component: fn() -> Vec<u8>, expected: Expected) -> Attack {
    Attack { name, attacker: Attacker::Component(component), expected }
}

use Expected::{Fails, Harmless, NotCompiled, NotOpened};

/// Endless loops.
pub(crate) static LOOPS: &[Attack] = &[
    model("endless loop in `open`", "open-loop", NotOpened("deadline")),
    model("endless loop in `describe`", "describe-loop", NotOpened("deadline")),
    model("endless loop in `observe`", "loop 2", Fails("deadline")),
    model("endless loop in `forget`", "forget-loop", Fails("deadline")),
    model("endless loop in `save`", "save-loop", Fails("deadline")),
    model("endless `memory.fill`", "fill 2", Fails("deadline")),
    component(
        "endless loop at instantiation",
        || items("(func $f (loop $l (br $l))) (start $f)"),
        NotOpened("deadline"),
    ),
    component(
        "endless loop in `cabi_realloc`",
        || Core { realloc: "(loop $l (br $l)) unreachable".to_owned(), ..Core::default() }.build(),
        NotOpened("deadline"),
    ),
    component(
        "endless loop after the answer",
        || Core { after: "(loop $l (br $l))".to_owned(), ..Core::default() }.build(),
        Fails("deadline"),
    ),
];

/// Memory, tables, instances, handles, stack.
pub(crate) static GROWTH: &[Attack] = &[
    model("memory beyond the limit", "memory 2", Fails("memory")),
    model("memory to the limit", "memory-to-the-limit 2", Harmless),
    model("memory beyond the limit in `open`", "open-memory", NotOpened("memory")),
    model("memory beyond the limit in `save`", "save-memory", Fails("memory")),
    model("state without end", "much-state", Fails("nonsense")),
    component("a gigabyte to begin with", || Core { pages: 16 << 10, ..Core::default() }.build(), NotOpened("memory")),
    component("70 memories", || items(&"(memory 1)".repeat(70)), NotOpened("trap")),
    component("70 tables", || items(&"(table 1 funcref)".repeat(70)), NotOpened("trap")),
    component("a table of ten million", || items("(table 10000000 funcref)"), NotOpened("trap")),
    component(
        "a table that grows",
        || {
            let observe = "(loop $l (br_if $l (i32.ne (i32.const -1)
                (table.grow $t (ref.null func) (i32.const 100))))) unreachable";
            Core { items: "(table $t 1 funcref)".to_owned(), observe: observe.to_owned(), ..Core::default() }.build()
        },
        Fails("trap"),
    ),
    component(
        "a thousand instances",
        || {
            let many = "(core instance (instantiate $m))".repeat(1000);
            nest(&Core::default().build(), &format!("(component (core module $m (memory 1)) {many})"))
        },
        NotOpened("trap"),
    ),
    model("handles without end", "handles 2", Fails("trap")),
    component(
        "handles of the host's without end",
        || {
            let import = "(import \"wasi:cli/stdout@0.2.12\" \"get-stdout\" (func $call (result i32)))";
            calling(import, "wasi:cli/stdout", "(loop $l (drop (call $call)) (br $l))")
        },
        Fails("trap"),
    ),
    model("stack overflow", "stack 2", Fails("trap")),
    model("stack overflow in `open`", "open-stack", NotOpened("trap")),
];

/// Traps and invalid answers.
pub(crate) static ANSWERS: &[Attack] = &[
    model("trap in every batch", "trap 2", Fails("trap")),
    model("trap at random", "trap-at-random", Fails("trap")),
    model("trap in `open`", "open-trap", NotOpened("trap")),
    model("trap in `describe`", "describe-trap", NotOpened("trap")),
    model("trap in `forget`", "forget-trap", Fails("trap")),
    model("trap in `save`", "save-trap", Fails("trap")),
    component("trap at instantiation", || items("(func $f unreachable) (start $f)"), NotOpened("trap")),
    component(
        "answer outside of its memory",
        || Core { answer: u32::MAX - 15, ..Core::default() }.build(),
        Fails("trap"),
    ),
    component(
        "room for the batch outside of its memory",
        || {
            let realloc = "(if (result i32) (global.get $open) (then (i32.const -16)) (else (i32.const 65536)))";
            let items = "(global $open (mut i32) (i32.const 0))";
            Core {
                realloc: realloc.to_owned(),
                items: items.to_owned(),
                describe: "(global.set $open (i32.const 1))".to_owned(),
                ..Core::default()
            }
            .build()
        },
        Fails("trap"),
    ),
    model("too few scores", "short 2", Fails("nonsense")),
    model("too many scores", "long 2", Fails("nonsense")),
    model("no scores", "none 2", Fails("nonsense")),
    model("a million scores", "many 2", Fails("nonsense")),
    model("infinite scores", "infinite 2", Fails("nonsense")),
    model("negative scores", "negative 2", Fails("nonsense")),
    model("NaN for scores", "nan 2", Harmless),
    model("contributions that nobody asked for", "contributions 2", Fails("nonsense")),
    model("another number of features", "features", NotOpened("nonsense")),
    model("results that differ from call to call", "moods", Harmless),
];

/// Texts and logs.
pub(crate) static TEXTS: &[Attack] = &[
    model("an error of 2 MiB", "long-text 2", Fails("nonsense")),
    model("an error of a gigabyte", "gigabyte 2", Fails("memory")),
    model("an error with control characters", "control 2", Fails("refused")),
    model("an error with control characters in `open`", "open-control", NotOpened("refused")),
    model("a description of 2 MiB", "describe-long-text", NotOpened("nonsense")),
    model("a description of a gigabyte", "describe-gigabyte", NotOpened("memory")),
    component(
        "a description of a gigabyte, which is not there",
        || Core { kind: (8, 1 << 30), ..Core::default() }.build(),
        NotOpened("trap"),
    ),
    model("a description with control characters", "describe-control", Harmless),
    model("a flood of log lines", "log-flood", Harmless),
    model("log lines without end", "log-without-end 2", Fails("deadline")),
    model("a log line of 0.5 MiB", "log-long", Harmless),
    model("a log line of 5 MiB", "log-very-long 2", Fails("nonsense")),
    model("a log line with control characters", "log-control", Harmless),
    component("printing without end", printing, Fails("deadline")),
];

/// The component itself, and its imports.
pub(crate) static COMPONENTS: &[Attack] = &[
    component("imports all of WASI 0.2", || Core::everything().build(), Harmless),
    component(
        "waits",
        || {
            let import = "(import \"wasi:clocks/monotonic-clock@0.2.12\" \"subscribe-duration\"
                (func $call (param i64) (result i32)))";
            calling(import, "wasi:clocks/monotonic-clock", "(drop (call $call (i64.const 1000000000000)))")
        },
        Fails("trap"),
    ),
    component(
        "polls",
        || {
            let import = "(import \"wasi:io/poll@0.2.12\" \"poll\" (func $call (param i32 i32 i32)))";
            calling(import, "wasi:io/poll", "(call $call (i32.const 0) (i32.const 0) (i32.const 1024))")
        },
        Fails("trap"),
    ),
    component(
        "opens a socket",
        || {
            let import = "(import \"wasi:sockets/tcp-create-socket@0.2.12\" \"create-tcp-socket\"
                (func $call (param i32 i32)))";
            calling(import, "wasi:sockets/tcp-create-socket", "(call $call (i32.const 0) (i32.const 1024))")
        },
        Fails("trap"),
    ),
    component(
        "looks at a file",
        || {
            let import = "(import \"wasi:filesystem/types@0.2.12\" \"[method]descriptor.sync\"
                (func $call (param i32 i32)))";
            calling(import, "wasi:filesystem/types", "(call $call (i32.const 3) (i32.const 1024))")
        },
        Fails("trap"),
    ),
    component(
        "ends the process",
        || {
            let import = "(import \"wasi:cli/exit@0.2.12\" \"exit\" (func $call (param i32)))";
            calling(import, "wasi:cli/exit", "(call $call (i32.const 1))")
        },
        Fails("trap"),
    ),
    component("imports HTTP", || importing("web:http/client@0.1.0"), NotCompiled("it imports `web:http/client@0.1.0`")),
    component("imports what nobody knows", || importing("other:others/thing"), NotCompiled("`other:others/thing`")),
    component("101 MB", || vec![0; 101_000_000], NotCompiled("101000000 bytes")),
    component("components within components", || deep(20), NotCompiled("more than 8 components within one another")),
    component("instantiates 2^40 components", || exponential(40), NotCompiled("one of them has two names")),
    component(
        "has a text of 40 MiB turned into another encoding without end",
        || transcode("utf16", "utf8", 1900, 40 << 20),
        NotCompiled("texts that are not UTF-8"),
    ),
    component(
        "has a text of 15 MiB copied without end",
        || transcode("utf8", "utf8", 240, 15 << 20),
        NotOpened("deadline"),
    ),
    component("hands a text of 40 MiB over", || transcode("utf8", "utf8", 700, 40 << 20), NotOpened("memory")),
];

/// All attacks.
pub(crate) static ALL: [&[Attack]; 5] = [LOOPS, GROWTH, ANSWERS, TEXTS, COMPONENTS];

fn items(items: &str) -> Vec<u8> {
    Core { items: items.to_owned(), ..Core::default() }.build()
}

fn calling(import: &str, interface: &str, observe: &str) -> Vec<u8> {
    Core::calling(import, &format!("import {interface}@0.2.12;"), observe).build()
}

fn importing(interface: &str) -> Vec<u8> {
    let import = format!("(import \"{interface}\" \"touch\" (func $call))");
    Core::calling(&import, &format!("import {interface};"), "(call $call)").build()
}

fn printing() -> Vec<u8> {
    let imports = "(import \"wasi:cli/stdout@0.2.12\" \"get-stdout\" (func $get (result i32)))
        (import \"wasi:io/streams@0.2.12\" \"[method]output-stream.blocking-write-and-flush\"
            (func $print (param i32 i32 i32 i32)))";
    let observe = "(i32.store8 (i32.const 2048) (i32.const 10))
        (global.set $out (call $get))
        (loop $l (call $print (global.get $out) (i32.const 2048) (i32.const 1) (i32.const 1024)) (br $l))";
    Core {
        imports: imports.to_owned(),
        world: ALL_OF_WASI.to_owned(),
        items: "(global $out (mut i32) (i32.const 0))".to_owned(),
        observe: observe.to_owned(),
        ..Core::default()
    }
    .build()
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(None));

static HOSTILE: LazyLock<DetectorSpec> = LazyLock::new(|| {
    DetectorSpec::plugin(&SANDBOX, qualm_test_plugins::HOSTILE, Vec::new(), LIMITS).expect("it is a detector")
});

/// `plugins/hostile` with a model.
pub(crate) fn hostile(model: &str) -> DetectorSpec {
    titled(HOSTILE.with_model(model.as_bytes().to_vec()), model)
}

/// With a name in the log.
fn titled(spec: DetectorSpec, name: &str) -> DetectorSpec {
    spec.titled(Arc::new(Title { name: name.to_owned(), version: 1, kind: "hostile".to_owned() }))
}

impl Attack {
    /// The detector to start.
    pub(crate) fn spec(&self) -> Result<DetectorSpec, LoadError> {
        match self.attacker {
            Attacker::Model(model) => Ok(hostile(model)),
            Attacker::Component(component) => component_spec(&component(), LIMITS),
        }
    }
}

/// A detector of this component.
pub(crate) fn component_spec(component: &[u8], limits: Limits) -> Result<DetectorSpec, LoadError> {
    Ok(titled(DetectorSpec::plugin(&SANDBOX, component, b"{}".to_vec(), limits)?, "component"))
}
