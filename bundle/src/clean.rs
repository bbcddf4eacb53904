//! Sanitises untrusted text for logs, terminals and responses.

/// How many characters of a text are kept by default.
const MAX_LETTERS: usize = 500;

/// A text without control characters: each becomes U+FFFD, so that none can move a cursor or begin a line.
#[must_use]
pub fn visible(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// As [`visible`], cut after `max` characters with an ellipsis.
#[must_use]
pub fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// As [`shortened`], with the default length.
#[must_use]
pub fn clean(text: &str) -> String {
    shortened(text, MAX_LETTERS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(super::clean("größer\n\u{1b}[2J"), "größer\u{fffd}\u{fffd}[2J");
        assert_eq!(super::clean(&"ä".repeat(600)).chars().count(), 501);
        assert_eq!(super::shortened("\u{7}äö", 3), "\u{fffd}äö");
    }
}
