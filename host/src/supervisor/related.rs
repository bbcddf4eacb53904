//! Which series' groups a guest has been sent: each once.

use qualm_stream::Rows;

/// What one guest has been sent.
#[derive(Debug, Default)]
pub(super) struct Related {
    /// A bit a series, by number.
    sent: Vec<u64>,
    /// What it is sent next.
    series: Vec<u32>,
    groups: Vec<u64>,
}

impl Related {
    /// The series among these rows whose groups it was not sent yet, with these groups. From now on they count as sent.
    pub(super) fn take_unsent(&mut self, rows: &Rows) -> (&[u32], &[u64]) {
        let Self { sent, series: new, groups } = self;
        new.clear();
        groups.clear();
        for (&series, &group) in rows.series.iter().zip(&rows.groups) {
            let (at, bit) = place(series);
            if sent.len() <= at {
                sent.resize(at + 1, 0);
            }
            if sent[at] & bit == 0 {
                sent[at] |= bit;
                new.push(series);
                groups.push(group);
            }
        }
        (new, groups)
    }

    /// These series' numbers come to mean others.
    pub(super) fn forget(&mut self, series: &[u32]) {
        for (at, bit) in series.iter().map(|&series| place(series)) {
            if let Some(bits) = self.sent.get_mut(at) {
                *bits &= !bit;
            }
        }
    }

    /// It is another guest now.
    pub(super) fn clear(&mut self) {
        self.sent.fill(0);
    }
}

fn place(series: u32) -> (usize, u64) {
    (series as usize / 64, 1 << (series % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsent(related: &mut Related, series: &[u32]) -> (Vec<u32>, Vec<u64>) {
        let mut rows = Rows::default();
        for &series in series {
            rows.add(series, 0, 0.0);
            rows.groups.push(1000 + u64::from(series));
        }
        let (series, groups) = related.take_unsent(&rows);
        (series.to_vec(), groups.to_vec())
    }

    #[test]
    fn each_series_is_sent_once() {
        let mut related = Related::default();
        assert_eq!(unsent(&mut related, &[3, 200, 3]), (vec![3, 200], vec![1003, 1200]));
        assert_eq!(unsent(&mut related, &[3, 64, 200]).0, [64]);
        related.forget(&[200, 7, 9999]);
        assert_eq!(unsent(&mut related, &[3, 64, 200]).0, [200], "its number means another one");
        related.clear();
        assert_eq!(unsent(&mut related, &[3, 64]).0, [3, 64]);
    }
}
