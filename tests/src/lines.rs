//! Numbered lines, so that a test can check which arrived, and in which order.

/// A numbered line in Telegraf's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    pub n: u64,
    /// Whether it has a score.
    pub scored: bool,
}

/// The numbered `load` lines of a file that Telegraf writes, in order. A last line without a newline is incomplete, and left
/// out.
#[must_use]
pub fn numbered(text: &str) -> Vec<Numbered> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().filter_map(one).collect()
}

fn one(line: &str) -> Option<Numbered> {
    // Telegraf does not keep the order of fields, so the number may be any of them.
    let from = line.find("n=").filter(|_| line.starts_with("load,"))? + 2;
    let length = line[from..].find('i')?;
    Some(Numbered { n: line[from..from + length].parse().ok()?, scored: line.contains("anomaly_score=") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_any_order_of_fields() {
        let text =
            "load,host=a value=1,n=3i 5\nmem n=1i 5\nload,host=a n=4i,anomaly_score=0.5,value=1 5\nload,host=a n=5i";
        assert_eq!(numbered(text), [Numbered { n: 3, scored: false }, Numbered { n: 4, scored: true }]);
    }
}
