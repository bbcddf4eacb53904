//! Which series' groups were passed to a guest: each is passed once.

/// The groups that one guest has.
#[derive(Debug, Default)]
pub(super) struct Related {
    /// A bit a series, by number: whether the guest knows its group.
    known: Vec<u64>,
    /// The series of the batch to come, and their groups.
    batch: Vec<(u32, u64)>,
    /// Those among them that the guest does not know yet.
    series: Vec<u32>,
    groups: Vec<u64>,
}

impl Related {
    /// Takes in the series of the batch to come, and their groups.
    pub(super) fn set_batch(&mut self, series: &[u32], groups: &[u64]) {
        self.batch.clear();
        self.batch.extend(series.iter().copied().zip(groups.iter().copied()));
    }

    /// The series of the batch whose group the guest does not know yet, and these groups: it knows them now.
    pub(super) fn take_unknown(&mut self) -> (&[u32], &[u64]) {
        let Self { known, batch, series: unknown, groups } = self;
        unknown.clear();
        groups.clear();
        for (series, group) in batch.drain(..) {
            let (at, bit) = place(series);
            if known.len() <= at {
                known.resize(at + 1, 0);
            }
            if known[at] & bit == 0 {
                known[at] |= bit;
                unknown.push(series);
                groups.push(group);
            }
        }
        (unknown, groups)
    }

    /// Only so many of those that [`take_unknown`](Self::take_unknown) gave last were passed on.
    pub(super) fn keep_passed_on(&mut self, count: usize) {
        let rest = self.series.split_off(count.min(self.series.len()));
        self.forget_series(&rest);
    }

    /// These series' numbers come to mean others.
    pub(super) fn forget_series(&mut self, series: &[u32]) {
        for (at, bit) in series.iter().map(|&series| place(series)) {
            if let Some(bits) = self.known.get_mut(at) {
                *bits &= !bit;
            }
        }
    }

    /// It is another guest now, which knows no group.
    pub(super) fn clear(&mut self) {
        self.known.fill(0);
    }
}

fn place(series: u32) -> (usize, u64) {
    (series as usize / 64, 1 << (series % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(related: &mut Related, series: &[u32]) -> (Vec<u32>, Vec<u64>) {
        let groups: Vec<u64> = series.iter().map(|&series| 1000 + u64::from(series)).collect();
        related.set_batch(series, &groups);
        let (series, groups) = related.take_unknown();
        (series.to_vec(), groups.to_vec())
    }

    #[test]
    fn each_series_is_passed_on_once() {
        let mut related = Related::default();
        assert_eq!(unknown(&mut related, &[3, 200, 3]), (vec![3, 200], vec![1003, 1200]));
        assert_eq!(unknown(&mut related, &[3, 64, 200]).0, [64]);
        related.forget_series(&[200, 7, 9999]);
        assert_eq!(unknown(&mut related, &[3, 64, 200]).0, [200], "its number means another one");
        assert_eq!(unknown(&mut related, &[5, 6, 7]).0, [5, 6, 7]);
        related.keep_passed_on(1);
        assert_eq!(unknown(&mut related, &[5, 6, 7]).0, [6, 7], "for the others there was no time");
        related.clear();
        assert_eq!(unknown(&mut related, &[3, 64]).0, [3, 64]);
    }
}
