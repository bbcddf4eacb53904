//! Sanitises untrusted text for logs, terminals and responses: no control character can move a cursor or begin a line.

/// How many characters of a text are kept by default.
const MAX_CHARS: usize = 500;

/// How many characters of a guest's text are kept.
pub const MAX_GUEST_CHARS: usize = 300;

/// A text whose control characters are replaced by U+FFFD.
#[must_use]
pub fn visible(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// As [`visible`], cut after `max` characters with an ellipsis.
#[must_use]
pub fn shortened(text: &str, max: usize) -> String {
    cut(text, max, "\u{fffd}")
}

/// As [`shortened`], with the default length.
#[must_use]
pub fn clean(text: &str) -> String {
    shortened(text, MAX_CHARS)
}

/// A guest's text as one line, cut after [`MAX_GUEST_CHARS`]: such texts are of several lines, which a dot separates.
#[must_use]
pub fn one_line(text: &str) -> String {
    cut(text, MAX_GUEST_CHARS, "·")
}

fn cut(text: &str, max: usize, mark: &str) -> String {
    let kept = clip(text, max);
    let ellipsis = if kept.len() < text.len() { "…" } else { "" };
    kept.replace(char::is_control, mark) + ellipsis
}

/// The first `max` characters of a text.
#[must_use]
pub fn clip(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(clean("größer\n\u{1b}[2J"), "größer\u{fffd}\u{fffd}[2J");
        assert_eq!(clean(&"ä".repeat(600)).chars().count(), 501);
        assert_eq!(shortened("\u{7}äö", 3), "\u{fffd}äö");
        assert_eq!(one_line("line\n\u{1b}[2J"), "line··[2J");
        assert_eq!(one_line(&"ä".repeat(600)).chars().count(), 301);
    }
}
