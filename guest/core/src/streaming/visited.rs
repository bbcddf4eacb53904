//! Where a series has ever been: intervals on an axis that is linear near the level and logarithmic far from it.
//!
//! Novelty is then relative: a spike a tenth higher than the highest one is hardly new, wherever that was, while half a
//! scale between the usual and the spikes is. On labelled streams that is worth three to five points of NAB.

use super::level::MAX_VALUE;
use super::record::take;
use crate::math::min;

/// The axis begins to bend at 1/`BEND` scales; measured, 0.4 to 0.6 are alike, and 0.8 loses five points of NAB.
const BEND: f64 = 0.5;
/// Places of an octave, of 1 + `BEND` times the distance in scales, as a power of two.
const OCTAVE: u32 = 11;
/// The first place above the middle: 16 octaves fit on each side.
const MIDDLE: u16 = 1 << 15;
/// 1 + this is just within them.
const FARTHEST: f64 = 65_534.0;
/// New places waiting to become known; measured, 4 has a tenth more false alarms.
const WAITING: usize = 2;
/// How much the scale may change before the axis is drawn anew.
const STRETCH: f64 = 2.0;
/// How many scales the level may move before that.
const SHIFT: f64 = 4.0;

/// Where the axis has its middle, and what is one near it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    center: f64,
    /// 0 before the axis is drawn.
    scale: f64,
}

impl Axis {
    /// Not drawn yet.
    pub(crate) const fn new() -> Self {
        Self { center: 0.0, scale: 0.0 }
    }

    /// Whether there is an axis.
    pub(crate) fn drawn(&self) -> bool {
        self.scale > 0.0
    }

    /// Where `value` lies: straight within each octave, for the bits of a double are its logarithm (see
    /// [`crate::math::octaves`]).
    pub(crate) fn place(&self, value: f64) -> u16 {
        let x = (value - self.center) / self.scale * BEND;
        let octaves = (1.0 + min(x.abs(), FARTHEST)).to_bits() - 1_f64.to_bits();
        let far = (octaves >> (52 - OCTAVE)) as u16;
        if x < 0.0 { MIDDLE - 1 - far } else { MIDDLE + far }
    }

    /// The value in the middle of a place.
    fn value(&self, place: u16) -> f64 {
        let (far, sign) = if place < MIDDLE { (MIDDLE - 1 - place, -1.0) } else { (place - MIDDLE, 1.0) };
        let octaves = (2 * u64::from(far) + 1) << (52 - OCTAVE - 1);
        let x = (f64::from_bits(1_f64.to_bits() + octaves) - 1.0) / BEND * self.scale;
        (self.center + sign * x).clamp(-2.0 * MAX_VALUE, 2.0 * MAX_VALUE)
    }

    /// Whether it still fits a series of this level and scale.
    fn fits(&self, center: f64, scale: f64) -> bool {
        scale < self.scale * STRETCH
            && scale * STRETCH > self.scale
            && (center - self.center).abs() < SHIFT * self.scale
    }

    /// Once in a while: what waits becomes known, and where the axis no longer fits a series of this level and scale it is
    /// drawn anew, with all that was seen on it.
    pub(crate) fn follow<const MOST: usize, const KINDS: usize>(
        &mut self,
        center: f64,
        scale: f64,
        seen: [&mut Visited<MOST>; KINDS],
    ) {
        let fits = self.fits(center, scale);
        let to = Self { center, scale };
        for visited in seen {
            visited.settle();
            if !fits {
                visited.redraw(*self, to);
            }
        }
        if !fits {
            *self = to;
        }
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { center, scale } = self;
        out.extend([center.to_le_bytes(), scale.to_le_bytes()].as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (center, scale) = (f64::from_le_bytes(take(bytes)?), f64::from_le_bytes(take(bytes)?));
        let possible = center.abs() <= 4.0 * MAX_VALUE && (0.0..=4.0 * MAX_VALUE).contains(&scale);
        possible.then_some(Self { center, scale })
    }
}

/// Up to `MOST` intervals that hold all places ever visited, and the new ones that will join them. Where there is no
/// room for one more, the two closest become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Visited<const MOST: usize> {
    /// First and last place of each, in order.
    known: [[u16; 2]; MOST],
    waiting: [u16; WAITING],
    len: u8,
    waits: u8,
}

impl<const MOST: usize> Visited<MOST> {
    /// Nowhere yet.
    pub(crate) const fn new() -> Self {
        Self { known: [[0; 2]; MOST], waiting: [0; WAITING], len: 0, waits: 0 }
    }

    fn known(&self) -> &[[u16; 2]] {
        &self.known[..usize::from(self.len)]
    }

    /// How far `place` is from the nearest one known, in scales near the level; 0 while none is known. A new place
    /// waits to become known until [`Self::settle`], so that an incident stays new for a few rows.
    pub(crate) fn visit(&mut self, place: u16) -> f64 {
        let nearest = |near: u16, &[first, last]: &[u16; 2]| {
            near.min(if place < first { first - place } else { place.saturating_sub(last) })
        };
        let near = self.known().iter().fold(u16::MAX, nearest);
        if near > 0 && !self.waiting[..usize::from(self.waits)].contains(&place) {
            if usize::from(self.waits) == WAITING {
                self.settle();
            }
            self.waiting[usize::from(self.waits)] = place;
            self.waits += 1;
        }
        if self.len == 0 { 0.0 } else { f64::from(near) * (1.0 / (f64::from(1 << OCTAVE) * BEND)) }
    }

    /// Makes known what waits.
    fn settle(&mut self) {
        for at in 0..usize::from(self.waits) {
            self.insert(self.waiting[at]);
        }
        self.waits = 0;
    }

    fn insert(&mut self, place: u16) {
        let len = usize::from(self.len);
        let at = self.known().partition_point(|&[first, _]| first <= place);
        if at > 0 && place <= self.known[at - 1][1] {
            return;
        }
        if len < MOST {
            self.known.copy_within(at..len, at + 1);
            self.known[at] = [place; 2];
            self.len += 1;
            return;
        }
        // The narrowest gap closes, be it one beside the new place or another.
        let gap = |i: usize| self.known[i][0] - self.known[i - 1][1];
        let narrow = (1..MOST).min_by_key(|&i| gap(i)).unwrap_or(0);
        let left = if at > 0 { place - self.known[at - 1][1] } else { u16::MAX };
        let right = if at < MOST { self.known[at][0] - place } else { u16::MAX };
        if left <= right && (narrow == 0 || narrow == at || left <= gap(narrow)) {
            self.known[at - 1][1] = place;
        } else if right < left && (narrow == 0 || narrow == at || right <= gap(narrow)) {
            self.known[at][0] = place;
        } else {
            self.known[narrow - 1][1] = self.known[narrow][1];
            self.known.copy_within(narrow + 1.., narrow);
            let at = if at > narrow { at - 1 } else { at };
            self.known.copy_within(at..MOST - 1, at + 1);
            self.known[at] = [place; 2];
        }
    }

    /// Moves all known places from one axis to another.
    fn redraw(&mut self, from: Axis, to: Axis) {
        for ends in &mut self.known[..usize::from(self.len)] {
            *ends = ends.map(|place| to.place(from.value(place)));
        }
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { known, waiting, len, waits } = self;
        out.extend(known.as_flattened().iter().chain(waiting).flat_map(|place| place.to_le_bytes()));
        out.extend([*len, *waits]);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut visited = Self::new();
        for place in visited.known.as_flattened_mut().iter_mut().chain(&mut visited.waiting) {
            *place = u16::from_le_bytes(take(bytes)?);
        }
        [visited.len, visited.waits] = take(bytes)?;
        let possible = usize::from(visited.len) <= MOST
            && usize::from(visited.waits) <= WAITING
            && visited.known().as_flattened().is_sorted();
        possible.then_some(visited)
    }
}
