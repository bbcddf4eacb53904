//! Plots: an SVG drawing that stretches with the page, and texts beside it that do not.
//!
//! The coordinates of a drawing are 0 … 1000 to the right and downwards.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::html::Untrusted;

/// The width and height of a drawing.
pub(super) const SIZE: f64 = 1000.0;

/// A tick of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Its position: 0 is left or below, 1 is right or above.
    pub(super) at: f64,
    pub(super) text: String,
}

/// A plot.
#[derive(Debug, Default)]
pub(super) struct Plot {
    /// Its description, for screen readers.
    pub(super) title: String,
    /// Extra classes of its frame.
    pub(super) class: &'static str,
    /// SVG.
    pub(super) drawing: Markup,
    pub(super) across: Vec<Tick>,
    pub(super) up: Vec<Tick>,
    /// The names of the axes.
    pub(super) across_name: &'static str,
    pub(super) up_name: &'static str,
}

impl Plot {
    pub(super) fn html(&self) -> Markup {
        let Self { title, class, drawing, across, up, across_name, up_name } = self;
        let labels = |side: &str, ticks: &[Tick]| {
            html! {
                @for Tick { at, text } in ticks {
                    span style={ (side) ":" (format_args!("{:.2}", at * 100.0)) "%" } { (text) }
                }
            }
        };
        html! {
            div.plot.(class) {
                p.axis { (up_name) }
                div.area {
                    div.up { (labels("bottom", up)) }
                    svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" {
                        title { (Untrusted(title)) }
                        @for tick in up {
                            (line("grid", 0.0, tick.at, 1.0, tick.at))
                        }
                        (drawing)
                    }
                    div.across { (labels("left", across)) }
                }
                p.axis.right { (across_name) }
            }
        }
    }
}

/// The coordinates of a position that is given as shares of the way to the right and upwards.
pub(super) fn place(right: f64, up: f64) -> (f64, f64) {
    (right.clamp(0.0, 1.0) * SIZE, (1.0 - up.clamp(0.0, 1.0)) * SIZE)
}

/// A straight line.
pub(super) fn line(class: &str, right: f64, up: f64, to_right: f64, to_up: f64) -> Markup {
    let ((x, y), (to_x, to_y)) = (place(right, up), place(to_right, to_up));
    stroke(class, &format!("M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}"))
}

/// A line along a [`path`].
pub(super) fn stroke(class: &str, path: &str) -> Markup {
    html! { path class=(class) d=(path) {} }
}

/// A rectangle; `inside` is empty or a tooltip.
pub(super) fn rectangle(class: &str, [right, up]: [f64; 2], [to_right, to_up]: [f64; 2], inside: &Markup) -> Markup {
    let ((x, y), (to_x, to_y)) = (place(right, to_up), place(to_right, up));
    let number = |number: f64| format!("{number:.1}");
    html! {
        rect class=(class) x=(number(x)) y=(number(y)) width=(number(to_x - x)) height=(number(to_y - y)) { (inside) }
    }
}

/// A line through points; `None` is a gap.
pub(super) fn path(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut out = String::new();
    let mut command = 'M';
    for point in points {
        let Some((right, up)) = point else {
            command = 'M';
            continue;
        };
        let (x, y) = place(right, up);
        let _infallible = write!(out, "{command}{x:.1} {y:.1}");
        if command == 'M' {
            // A single point is visible as well: the line's ends are round.
            out.push_str("h0");
        }
        command = 'L';
    }
    out
}

/// Ticks at 0, ½ and 1.
pub(super) fn unit_ticks() -> Vec<Tick> {
    [(0.0, "0"), (0.5, "0.5"), (1.0, "1")].map(|(at, text)| Tick { at, text: text.to_owned() }).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_begins_a_new_line() {
        let points = [Some((0.0, 0.0)), Some((0.5, 1.0)), None, Some((1.0, 2.0))];
        assert_eq!(path(points.into_iter()), "M0.0 1000.0h0L500.0 0.0M1000.0 0.0h0");
    }

    #[test]
    fn shapes_are_positioned() {
        assert!(
            rectangle("a", [0.1, 0.0], [0.3, 0.25], &Markup::default())
                .into_string()
                .contains("x=\"100.0\" y=\"750.0\" width=\"200.0\" height=\"250.0\"")
        );
        let plot = Plot { title: "<b>".to_owned(), up: unit_ticks(), ..Plot::default() };
        let html = plot.html().into_string();
        assert!(html.contains("&lt;b&gt;") && html.contains("bottom:50.00%"));
    }
}
