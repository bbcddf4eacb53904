//! The building blocks of a page.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use qualm_system::untrusted::visible;

/// An untrusted text, such as a name. Control characters and those that change the text direction become U+FFFD.
#[derive(Debug, Clone, Copy)]
pub(super) struct Untrusted<'a>(pub(super) &'a str);

impl Render for Untrusted<'_> {
    fn render_to(&self, out: &mut String) {
        let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        visible(self.0).replace(|c| turns(c) || matches!(c, '\u{fffe}' | '\u{ffff}'), "\u{fffd}").render_to(out);
    }
}

/// An untrusted name, with the style of names.
pub(super) fn name(text: &str) -> Markup {
    html! { span.name { (Untrusted(text)) } }
}

const STYLE: &str = include_str!("style.css");

/// A whole page, whose content security policy allows no requests and no scripts.
pub(super) fn document(title: &str, heading: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (Untrusted(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (Untrusted(heading)) }
                (body)
            }
        }
    };
    page.into_string() + "\n"
}

/// Caveats to the figures.
pub(super) fn notes(notes: &[String]) -> Markup {
    html! {
        @for note in notes {
            p.note { "Note: " (Untrusted(note)) "." }
        }
    }
}

/// The provenance of a page: names and values.
pub(super) fn footer(provenance: &[(String, String)]) -> Markup {
    html! {
        footer {
            "Where this comes from"
            dl {
                @for (what, value) in provenance {
                    dt { (Untrusted(what)) }
                    dd { (Untrusted(value)) }
                }
            }
        }
    }
}

/// A section with a title and an explanation.
pub(super) fn section(title: &str, meaning: impl Render, content: impl Render) -> Markup {
    let meaning = meaning.render();
    html! {
        section {
            h2 { (title) }
            @if !meaning.0.is_empty() {
                p.meaning { (meaning) }
            }
            (content)
        }
    }
}

/// The content of a section without figures.
pub(super) fn paragraph(text: &str) -> Markup {
    html! { p { (text) } }
}

/// Text below a drawing or a table.
pub(super) fn caption(text: impl Render) -> Markup {
    html! { p.key { (text) } }
}

/// A cell of a table.
#[derive(Debug)]
pub(super) struct Cell {
    class: Option<&'static str>,
    content: Markup,
}

impl Cell {
    /// A cell that has its own line on narrow screens.
    pub(super) const fn wide(content: Markup) -> Self {
        Self { class: Some("why"), content }
    }
}

impl<T: Render> From<T> for Cell {
    fn from(content: T) -> Self {
        Self { class: None, content: content.render() }
    }
}

/// A table; the first cell of a row is its head. `class` gives the layout.
pub(super) fn table(class: &str, heads: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> Markup {
    html! {
        div.wide {
            table class=(class) {
                thead {
                    tr {
                        @for head in heads {
                            th scope="col" { (head) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, Cell { class, content }) in row.into_iter().enumerate() {
                                @if at == 0 {
                                    th scope="row" { (content) }
                                } @else {
                                    td class=[class] { (content) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A bar as long as `share` of its full width, with a text after it.
pub(super) fn bar(share: f64, class: &str, text: impl Render) -> Markup {
    let width = if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    html! {
        span.bar.(class) { i style={ "width:" (format_args!("{width:.1}")) "%" } {} }
        (text)
    }
}

/// A headline figure.
pub(super) fn card(figure: impl Render, meaning: impl Render) -> Markup {
    html! {
        div.card {
            b { (figure) }
            span { (meaning) }
        }
    }
}

/// Headline figures.
pub(super) fn cards(cards: &[Markup]) -> Markup {
    html! {
        section {
            div.cards {
                @for card in cards {
                    (card)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_escaped() {
        let escaped = Untrusted("<img src=x onerror='a()'> \"&\" \u{202e}\0").render().into_string();
        assert_eq!(escaped, "&lt;img src=x onerror='a()'&gt; &quot;&amp;&quot; \u{fffd}\u{fffd}");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room() {
        let bar = |share| bar(share, "", "x").into_string();
        assert!(bar(7.0).contains("width:100.0%") && bar(f64::NAN).contains("width:0.0%"));
    }
}
