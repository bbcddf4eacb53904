//! The log: too many lines, too long lines, forged lines.

use crate::attack::{Attack, Call, In};
use crate::qualm::detector::log::{Level, write};
use crate::texts::CONTROL;

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, action) = Call::of(name);
    let action: fn() = match action {
        "log-flood" => || (0..1000).for_each(|_| write(Level::Error, "again")),
        "log-without-end" => || loop {
            write(Level::Warn, "again");
        },
        "log-long" => || write(Level::Info, &"long ".repeat(100_000)),
        "log-very-long" => || write(Level::Info, &"long ".repeat(1 << 20)),
        "log-control" => || write(Level::Info, CONTROL),
        _ => return None,
    };
    Some(Box::new(In { call, action }))
}
