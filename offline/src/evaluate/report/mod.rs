//! An evaluation as one self-contained HTML page without scripts, for screens of any size.

mod against_labels;
mod alarms;
mod bands;
pub mod drift;
mod features;
pub mod feedback;
mod html;
mod plot;
mod sections;
mod series;
mod strips;

use html::{document, footer, notes};
use maud::html;

use super::evaluation::Evaluation;
use super::format::{count, thousands};
use crate::table::Table;

/// The contents of a page.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What was evaluated, such as a model's name and version.
    pub title: &'a str,
    /// The results.
    pub evaluation: &'a Evaluation,
    /// The rows that were scored.
    pub table: &'a Table,
    /// One for each row, if there are any.
    pub labels: Option<&'a [bool]>,
    /// Caveats to the figures.
    pub notes: &'a [String],
    /// The provenance: names and values.
    pub provenance: &'a [(String, String)],
}

impl Page<'_> {
    /// Renders the page.
    #[must_use]
    pub fn html(&self) -> String {
        let title = self.title;
        let body = html! {
            p.under { (self.subtitle()) }
            (notes(self.notes))
            (sections::headline(self))
            (sections::over_time(self))
            (alarms::section_html(self))
            (against_labels::sections(self))
            (sections::injected(self))
            (sections::histogram(self))
            (sections::networks(self))
            (features::section_html(self))
            (sections::robustness(self))
            (footer(self.provenance))
        };
        document(&format!("{title} – qualm evaluation"), &format!("How good is {title}?"), &body)
    }

    /// The number, entities and times of the rows.
    fn subtitle(&self) -> String {
        let Evaluation { summary, entities, from, to, .. } = self.evaluation;
        let of = if *entities > 1 { format!(" of {} entities", thousands(*entities as u64)) } else { String::new() };
        let when = from.zip(*to).map_or_else(String::new, |(from, to)| format!(", from {from} to {to}"));
        format!("{}{of}{when}", count(summary.rows, "row", "rows"))
    }
}

#[cfg(test)]
mod tests {
    use qualm_bundle::manifest::Reference;

    use super::super::score::Scored;
    use super::super::testing::{servers, zscore};
    use super::super::{Settings, evaluate, evaluation};
    use super::*;

    pub(super) const NASTY: &str = "<script>alert('1')</script> & \"m\"";

    /// Checks the nesting of a page's tags, and that each class has a style.
    pub(super) fn assert_well_formed(page: &str) {
        let mut open = Vec::new();
        let body = page.strip_prefix("<!DOCTYPE html>").expect("it says that it is HTML");
        for part in body.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("a tag has no end: {part}"));
            let classes = tag.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next());
            for class in classes.flat_map(str::split_whitespace) {
                assert!(include_str!("style.css").contains(&format!(".{class}")), "no style for .{class}");
            }
            let in_style = open.last() == Some(&"style") || tag == "style";
            assert!(in_style || !text.contains('>'), "a bare > behind <{tag}>");
            assert!(tag.matches('"').count() % 2 == 0, "a quote has no end: <{tag}>");
            let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
            let is_void = ["meta", "br"].contains(&name);
            match (tag.starts_with('/'), is_void) {
                (true, _) => assert_eq!(open.pop(), Some(name), "</{name}> closes nothing"),
                (false, false) => open.push(name),
                (false, true) => {}
            }
        }
        assert!(open.is_empty(), "never closed: {open:?}");
    }

    fn nasty(rows: usize) -> (Table, Vec<bool>, Vec<u8>) {
        let mut table = servers(2, rows, 3, 2);
        let model = zscore(&servers(2, 3000, 3, 1));
        table.names[1] = NASTY.to_owned();
        table.entities[1] = format!("host={NASTY}");
        let labels = (0..table.len()).map(|row| (2001..2100).contains(&row) && row % 2 == 1).collect::<Vec<_>>();
        for row in (0..table.len()).filter(|row| labels[*row]) {
            table.values[row * 3 + 1] += 50.0;
        }
        (table, labels, model)
    }

    #[test]
    fn a_page_is_well_formed_and_escapes_names() {
        let (table, labels, model) = nasty(3000);
        let reference = Reference { missing: 0.0, mean: 1.0, deviation: 2.0, quantiles: vec![0.0; 11] };
        let references = vec![Some(reference), None, None];
        let settings = Settings { robustness: true, seed: 1, alarms: 5, references, ..Settings::default() };
        let provenance = [("input".to_owned(), NASTY.to_owned())];
        for labels in [Some(&labels[..]), None] {
            let mut detector = qualm_core::open(&model).unwrap();
            let evaluation = evaluate(&mut *detector, &table, labels, &settings, &|_| {}).unwrap();
            let page = Page {
                title: NASTY,
                evaluation: &evaluation,
                table: &table,
                labels,
                notes: &[NASTY.to_owned()],
                provenance: &provenance,
            };
            let html = page.html();
            assert_well_formed(&html);
            assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert('1')"), "escaped");
            assert!(html.matches("&lt;script&gt;").count() >= 5, "title, feature, entity, footer");
            assert!(
                !html.contains("http://") && !html.contains("https://") && !html.contains("url(h"),
                "self-contained"
            );
            assert!(!html.contains("NaN") && !html.contains("inf"), "no figure that is none");
        }
    }

    #[test]
    fn a_page_of_few_rows_is_well_formed() {
        for rows in [0, 1, 2] {
            let table = Table { series: vec![0; rows], times: vec![0; rows], ..Table::default() };
            for score in [f64::NAN, 0.5, 1e300] {
                let scored = Scored { scores: vec![score; rows], ..Scored::default() };
                let labels = vec![true; rows];
                for labels in [None, Some(&labels[..])] {
                    let evaluation = evaluation::assess(&table, scored.clone(), labels, &Settings::default());
                    let page = Page {
                        title: "x",
                        evaluation: &evaluation,
                        table: &table,
                        labels,
                        notes: &[],
                        provenance: &[],
                    };
                    let html = page.html();
                    assert_well_formed(&html);
                    assert!(!html.contains("NaN"), "{rows} rows of {score}");
                }
            }
        }
    }
}
