//! Texts of unknown origin, on their way to logs, terminals and answers.

/// The most letters of one, where nothing else is said.
const MOST: usize = 500;

/// A text in which nothing moves the cursor or begins a line: control characters become marks.
#[must_use]
pub fn visible(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The same, of `most` letters at most: one that is longer ends in an ellipsis.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// A text in which nothing moves the cursor or begins a line, of bounded length.
#[must_use]
pub fn clean(text: &str) -> String {
    shortened(text, MOST)
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(super::clean("größer\n\u{1b}[2J"), "größer\u{fffd}\u{fffd}[2J");
        assert_eq!(super::clean(&"ä".repeat(600)).chars().count(), 501);
        assert_eq!(super::shortened("\u{7}äö", 3), "\u{fffd}äö");
    }
}
