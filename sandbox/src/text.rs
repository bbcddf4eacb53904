//! Texts of what is not trusted, made fit for people to read.

/// How long such a text may be, in characters.
pub(crate) const MAX_CHARS: usize = 300;

/// A guest's text, fit for a log: one line, no control characters, not too long.
pub(crate) fn sanitize(text: &str) -> String {
    let clipped = clip(text);
    let mut fit: String = clipped.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if clipped.len() < text.len() {
        fit.push('…');
    }
    fit
}

pub(crate) fn clip(text: &str) -> &str {
    text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end])
}
