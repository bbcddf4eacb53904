//! The log: lines on stderr as Telegraf reads them, `E! `, `W! `, `I! ` or `D! ` first.
//!
//! Writing never waits: a log that nobody reads must not hold back metrics. What does not fit the queue is dropped.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, filter::LevelFilter};

/// The longest line: one of more than 64 KiB ends Telegraf's reader for good.
const MOST: usize = 4096;

/// Lines that may wait to be written.
const QUEUE: usize = 1024;

/// Keeps the log alive; its drop waits, not for ever, until all is written.
#[derive(Debug)]
pub struct Log {
    queue: SyncSender<Message>,
}

enum Message {
    Line(String),
    /// Answer once all that came before is written.
    Flush(SyncSender<()>),
}

/// Begins to log to stderr what is of `level` or weightier. A second call changes nothing.
#[must_use]
pub fn start(level: Level) -> Log {
    let (queue, lines) = sync_channel(QUEUE);
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
            // Nobody reads it: nothing can be said about that either.
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
            return; // what libraries tell is of no use to our users
        }
        let _full = self.queue.try_send(Message::Line(line(event)));
    }
}

/// The event as a line, with its end.
fn line(event: &Event<'_>) -> String {
    let prefix = match *event.metadata().level() {
        Level::ERROR => "E!",
        Level::WARN => "W!",
        Level::INFO => "I!",
        Level::DEBUG => "D!",
        Level::TRACE => "T!",
    };
    let mut text = Text(format!("{prefix} qualm: "));
    event.record(&mut text);
    fit(&text.0)
}

/// One line, not too long, whatever was in it.
fn fit(text: &str) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end < MOST).last().unwrap_or(0);
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
        assert_eq!(fit("I! a\nE! b\u{1b}[2J"), "I! a E! b [2J\n");
        let long = fit(&"é".repeat(100_000));
        assert!(long.len() <= MOST + 1 && long.len() > MOST - 8 && long.ends_with('\n'));
    }
}
