//! Sanitizes untrusted texts for logs and messages.

/// The most characters of such a text.
pub(crate) const MAX_CHARS: usize = 300;

/// A guest's text as one line without control characters, cut to a limit.
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
