//! The log: lines on stderr in Telegraf's format, with the prefix `E! `, `W! `, `I! ` or `D! `.
//!
//! Logging never blocks: a log that nobody reads must not hold up metrics. Lines that do not fit the queue are dropped.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, filter::LevelFilter};

/// The bytes of a line, without its end. A line of more than 64 KiB ends Telegraf's reader for good.
const MAX_LINE_BYTES: usize = 4096;

/// Lines in the queue.
const QUEUE_LINES: usize = 1024;

/// The running log; its drop waits up to a second until the queue is written.
#[derive(Debug)]
pub struct Log {
    queue: SyncSender<Message>,
}

enum Message {
    Line(String),
    /// Answer once all lines before are written.
    Flush(SyncSender<()>),
}

/// Starts to log events of `level` and above to stderr. A second call changes nothing.
#[must_use]
pub fn start(level: Level) -> Log {
    let (queue, lines) = sync_channel(QUEUE_LINES);
    let _detached = thread::Builder::new().name("qualm-log".to_owned()).spawn(move || write(&lines));
    let layer = Lines { queue: queue.clone() }.with_filter(LevelFilter::from_level(level));
    let _first = tracing::subscriber::set_global_default(Registry::default().with(layer));
    Log { queue }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _late = written.recv_timeout(Duration::from_secs(1));
        }
    }
}

fn write(lines: &Receiver<Message>) {
    for message in lines {
        match message {
            // Nobody reads stderr: the failure cannot be reported either.
            Message::Line(line) => drop(io::stderr().write_all(line.as_bytes())),
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

struct Lines {
    queue: SyncSender<Message>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if !target.starts_with("qualm") {
            return; // libraries' events are of no use to users
        }
        let _full = self.queue.try_send(Message::Line(format_line(event)));
    }
}

/// The event as a line, with its end.
fn format_line(event: &Event<'_>) -> String {
    let prefix = match *event.metadata().level() {
        Level::ERROR => "E!",
        Level::WARN => "W!",
        Level::INFO => "I!",
        Level::DEBUG => "D!",
        Level::TRACE => "T!",
    };
    let mut text = Text(format!("{prefix} qualm: "));
    event.record(&mut text);
    single_line(&text.0)
}

/// Cuts a text to [`MAX_LINE_BYTES`], without control characters, and ends it.
fn single_line(text: &str) -> String {
    let end = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|&end| end < MAX_LINE_BYTES)
        .last()
        .unwrap_or(0);
    let mut line: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.push('\n');
    line
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _infallible = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_not_too_long() {
        assert_eq!(single_line("I! a\nE! b\u{1b}[2J"), "I! a E! b [2J\n");
        let long = single_line(&"é".repeat(100_000));
        assert!(long.len() <= MAX_LINE_BYTES + 1 && long.len() > MAX_LINE_BYTES - 8 && long.ends_with('\n'));
    }
}
