//! Lines that carry a number, so that a test can tell which of them arrived, and in which order.

/// What a numbered line says when it comes out of Telegraf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    pub n: u64,
    /// Whether it carries a score.
    pub scored: bool,
}

/// The `load` lines in a file that Telegraf wrote, in the order of the file. A last line without a newline is
/// still being written and left out; so are lines that are not numbered.
#[must_use]
pub fn numbered(text: &str) -> Vec<Numbered> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().filter_map(one).collect()
}

fn one(line: &str) -> Option<Numbered> {
    // Telegraf does not keep the order of fields, so the number may stand anywhere among them.
    let from = line.find("n=").filter(|_| line.starts_with("load,"))? + 2;
    let length = line[from..].find('i')?;
    Some(Numbered { n: line[from..from + length].parse().ok()?, scored: line.contains("anomaly_score=") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_wherever_they_stand() {
        let text =
            "load,host=a value=1,n=3i 5\nmem n=1i 5\nload,host=a n=4i,anomaly_score=0.5,value=1 5\nload,host=a n=5i";
        assert_eq!(numbered(text), [Numbered { n: 3, scored: false }, Numbered { n: 4, scored: true }]);
    }
}
