//! What was measured, as a Markdown table.

use std::fmt;

/// Marks a figure that does not count, for a reason that stands on stderr.
const UNSOUND: &str = " (UNSOUND)";

/// What a ratio has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Nothing: the figure is for information.
    Nothing,
}

/// A line of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Our figure.
    pub(crate) ours: String,
    /// The figure of what ran beside it.
    pub(crate) beside: String,
    /// Ours to theirs.
    pub(crate) ratio: String,
    /// What it has to be, and whether it is.
    pub(crate) wanted: String,
}

impl Row {
    /// A row whose ratio is what is wanted of.
    pub(crate) fn ratio(what: &str, ours: String, beside: String, ratio: f64, wanted: Wanted) -> Self {
        let ratio_text = format!("{ratio:.2}");
        Self { what: what.to_owned(), ours, beside, ratio: ratio_text, wanted: wanted.judge(ratio, "", 1.0) }
    }

    /// A row whose own figure is what is wanted of; `unit` is that figure's, and `scale` what one of it is.
    pub(crate) fn figure(what: &str, ours: String, beside: String, figure: f64, wanted: (Wanted, &str, f64)) -> Self {
        let (wanted, unit, scale) = wanted;
        Self { what: what.to_owned(), ours, beside, ratio: String::new(), wanted: wanted.judge(figure, unit, scale) }
    }

    /// A row that could not be measured here.
    pub(crate) fn missing(what: &str, why: &str) -> Self {
        Self { what: what.to_owned(), ours: format!("not measured: {why}"), ..Self::default() }
    }

    /// The same with a ratio that nothing is wanted of.
    pub(crate) fn beside(self, ratio: f64) -> Self {
        Self { ratio: format!("{ratio:.2}"), ..self }
    }

    /// Says that something went wrong while this was measured.
    pub(crate) fn is_unsound(&mut self) {
        if !self.wanted.contains(UNSOUND) {
            self.wanted.push_str(UNSOUND);
        }
    }

    fn cells(&self) -> [&str; 5] {
        let Self { what, ours, beside, ratio, wanted } = self;
        [what, ours, beside, ratio, wanted]
    }
}

impl Wanted {
    fn judge(self, figure: f64, unit: &str, scale: f64) -> String {
        let (met, sign, limit) = match self {
            Self::AtLeast(limit) => (figure >= limit, '≥', limit),
            Self::AtMost(limit) => (figure <= limit, '≤', limit),
            Self::Nothing => return String::new(),
        };
        format!("{sign} {}{unit}: {}", limit / scale, if met { "met" } else { "MISSED" })
    }
}

/// The rows as a table, its columns aligned for those who read it as it is.
#[derive(Debug)]
pub(crate) struct Table(pub(crate) Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "ours", "beside", "ratio", "wanted"];
        let rows: Vec<_> = std::iter::once(head).chain(self.0.iter().map(Row::cells)).collect();
        let widths: Vec<_> =
            (0..head.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
        for (number, row) in rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                let rules: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
                writeln!(f, "|{}|", rules.join("|"))?;
            }
        }
        Ok(())
    }
}

/// The middle one of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
