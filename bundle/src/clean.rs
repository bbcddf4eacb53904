//! Texts of unknown origin, on their way to logs and terminals.

/// The most letters of one.
const MOST: usize = 500;

/// A text in which nothing moves the cursor or begins a line, of bounded length.
pub(crate) fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(super::clean("größer\n\u{1b}[2J"), "größer\u{fffd}\u{fffd}[2J");
        assert_eq!(super::clean(&"ä".repeat(600)).chars().count(), 501);
    }
}
