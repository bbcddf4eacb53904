//! Pieces of a page. What comes from elsewhere (names above all) is escaped here and nowhere else.

/// A text as it may stand in HTML and XML, between tags and in quotes. What shows nothing (control characters, and those
/// that turn the direction of writing) becomes a mark.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = include_str!("style.css");

/// A whole page; title, heading and body are HTML. It may fetch nothing and run nothing.
pub(super) fn document(title: &str, heading: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{heading}</h1>\n{body}</body>\n</html>\n"
    )
}

/// What must be known beside any figure.
pub(super) fn notes(notes: &[String]) -> String {
    notes.iter().map(|note| format!("<p class=\"note\">Note: {}.</p>\n", escape(note))).collect()
}

/// Where a page comes from: what, and its value.
pub(super) fn footer(provenance: &[(String, String)]) -> String {
    let term = |(what, value): &(String, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(what), escape(value));
    let terms: String = provenance.iter().map(term).collect();
    format!("<footer>\nWhere this comes from\n<dl>\n{terms}</dl>\n</footer>\n")
}

/// A part of the page, with what it means.
pub(super) fn section(title: &str, meaning: &str, content: &str) -> String {
    let meaning = if meaning.is_empty() { String::new() } else { format!("<p class=\"meaning\">{meaning}</p>\n") };
    format!("<section>\n<h2>{title}</h2>\n{meaning}{content}</section>\n")
}

/// A table; the cells are HTML, the first of a row its head. `class` says how it is laid out.
pub(super) fn table(class: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let row = |cells: Vec<String>| {
        let cell = |(at, cell): (usize, &String)| match (at, cell.contains("class=\"causes\"")) {
            (0, _) => format!("<th scope=\"row\">{cell}</th>"),
            (_, true) => format!("<td class=\"why\">{cell}</td>"),
            _ => format!("<td>{cell}</td>"),
        };
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let rows: String = rows.map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"{class}\">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    )
}

/// A bar as long as a share of what there is room for, with a text behind it.
pub(super) fn bar(share: f64, class: &str, text: &str) -> String {
    let width = if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    format!("<span class=\"bar {class}\"><i style=\"width:{width:.1}%\"></i></span>{text}")
}

/// A headline figure.
pub(super) fn card(figure: &str, meaning: &str) -> String {
    format!("<div class=\"card\"><b>{figure}</b><span>{meaning}</span></div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        let escaped = escape("<img src=x onerror='a()'> \"&\" \u{202e}\0");
        assert_eq!(escaped, "&lt;img src=x onerror=&#39;a()&#39;&gt; &quot;&amp;&quot; \u{fffd}\u{fffd}");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room() {
        assert!(bar(7.0, "", "x").contains("width:100.0%") && bar(f64::NAN, "", "x").contains("width:0.0%"));
    }
}
