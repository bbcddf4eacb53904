//! Random numbers that are the same everywhere: xoshiro256++ 1.0 (Blackman & Vigna, "Scrambled linear pseudorandom number
//! generators", ACM TOMS 47(4), 2021; <https://prng.di.unimi.it/xoshiro256plusplus.c>).

/// A generator; the same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random([u64; 4]);

impl Random {
    /// Fills the state by `SplitMix64`, as the generator's authors advise (Steele, Lea & Flood, "Fast splittable
    /// pseudorandom number generators", OOPSLA 2014; <https://prng.di.unimi.it/splitmix64.c>).
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// 64 random bits.
    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A double in [0, 1): the 53 high bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A whole number in 0..`n`, n ≥ 1: the high word of a product (Lemire, "Fast random integer generation in an
    /// interval", ACM TOMACS 29(1), 2019), without his rejection: for n < 2³² the bias is below 2⁻³².
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A normal deviate of mean 0 and variance 1 (Marsaglia's polar method; Knuth, TAOCP 2, 3.4.1, algorithm P). Its
    /// second deviate is dropped.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * libm::sqrt(-2.0 * libm::log(square) / square);
            }
        }
    }

    /// Moves `count` of the items, drawn without replacement, to the front: as many steps of Fisher & Yates' shuffle.
    pub(crate) fn draw<T>(&mut self, items: &mut [T], count: usize) {
        for place in 0..count.min(items.len()) {
            let from = place + self.below(items.len() - place);
            items.swap(place, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_authors() {
        // The first outputs of xoshiro256plusplus.c for this state, from the test vectors of the `rand_xoshiro` crate.
        let mut random = Random([1, 2, 3, 4]);
        let expected = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(expected.map(|_| random.next()), expected);
        // The first outputs of splitmix64.c for the seed 1234567.
        assert_eq!(Random::new(1_234_567).0[..2], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_are_fair() {
        let mut random = Random::new(1);
        let (mut counts, mut items) = ([0_u32; 10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for _ in 0..10_000 {
            random.draw(&mut items, 3);
            for &item in &items[..3] {
                counts[item] += 1;
            }
        }
        assert!(counts.iter().all(|count| count.abs_diff(3000) < 200), "{counts:?}");
        let normal: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let moment = |power: i32| normal.iter().map(|x| x.powi(power)).sum::<f64>() / 20_000.0;
        assert!(moment(1).abs() < 0.03 && (moment(2) - 1.0).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.3);
    }
}
