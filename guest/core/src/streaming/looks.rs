//! The looks at a row: what each is called, what it is worth, and which of them see something.

/// The means are the first looks.
pub(super) const MEANS: usize = 2;
pub(super) const JUMP: usize = 2;
pub(super) const NOVEL: usize = 3;
pub(super) const STUCK: usize = 4;
pub(super) const LOOKS: usize = 5;

/// What the looks see of a row. Most rows are ordinary by all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Looks {
    /// How rare it is, by look.
    nats: [f32; LOOKS],
    /// A bit a look: whether it exceeds what its tail holds, and whether that is below what was expected.
    rises: u8,
    below: u8,
}

impl Looks {
    /// Takes note of what one look sees.
    pub(super) fn set(&mut self, look: usize, nats: f64, rises: bool, below: bool) {
        self.nats[look] = nats as f32;
        self.rises |= u8::from(rises) << look;
        self.below |= u8::from(below) << look;
    }

    /// Of one look; 0 where there is no such look.
    pub(super) fn nats(&self, look: usize) -> f64 {
        self.nats.get(look).copied().unwrap_or_default().into()
    }

    /// Of the look that sees most.
    pub(super) fn most(&self) -> f64 {
        self.nats.iter().fold(0.0_f32, |most, &nats| if nats > most { nats } else { most }).into()
    }

    /// The looks that exceed what their tails hold: their numbers, nats, and whether they are below what was expected.
    pub(super) fn rising(&self) -> impl Iterator<Item = (usize, f64, bool)> {
        let bit = |bits: u8, look: usize| bits >> look & 1 == 1;
        let rising = (0..LOOKS).filter(move |&look| bit(self.rises, look));
        rising.map(move |look| (look, self.nats(look), bit(self.below, look)))
    }
}
