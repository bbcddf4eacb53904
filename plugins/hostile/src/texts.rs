//! Texts that are too long or have control characters.

use crate::attack::{Attack, Call};
use crate::detection::Description;

/// Forges a line of a log, clears the screen, and rings the bell.
pub(crate) const CONTROL: &str = "line\nE! forged\u{1b}[2J\u{7}";

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    let (call, what) = Call::of(name);
    let text: fn() -> String = match what {
        "error" if call.is(Call::Restore) => || "never mine".to_owned(),
        "error" => || "e".repeat(32 << 20),
        "long-text" => || "e".repeat(2 << 20),
        "gigabyte" => || "e".repeat(1 << 30),
        "control" => || CONTROL.to_owned(),
        _ => return None,
    };
    Some(Box::new(Text { call, text }))
}

struct Text {
    call: Call,
    text: fn() -> String,
}

impl Attack for Text {
    fn refusal(&self, call: Call) -> Option<String> {
        call.is(self.call).then(self.text)
    }

    fn description(&self, honest: Description) -> Description {
        if self.call.is(Call::Describe) {
            Description { kind: (self.text)(), version: (self.text)(), scale: (self.text)(), ..honest }
        } else {
            honest
        }
    }
}
