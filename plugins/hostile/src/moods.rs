//! Varying scores: the same rows do not get the same scores.

use std::cell::Cell;

use crate::attack::Attack;
use crate::detection::Verdicts;

pub(crate) fn find(name: &str) -> Option<Box<dyn Attack>> {
    (name == "moods").then(|| Box::new(Moods(Cell::new(0))) as Box<dyn Attack>)
}

/// The number of answered calls.
struct Moods(Cell<u32>);

impl Attack for Moods {
    fn verdicts(&self, mut honest: Verdicts) -> Verdicts {
        self.0.set(self.0.get() + 1);
        let mood = f64::from(self.0.get()) / 1024.0;
        honest.scores.iter_mut().for_each(|score| *score += mood);
        honest
    }
}
