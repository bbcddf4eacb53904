//! Tests of eight bytes at once, as one number: most names are too short for wider vectors.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Marks the bytes that are below `limit` (at most 128). Only the first mark is exact: a borrow may add marks after
/// it.
#[inline]
pub(super) fn which_below(word: [u8; 8], limit: u8) -> u64 {
    let word = u64::from_le_bytes(word);
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH
}

/// Marks the bytes that are equal to `byte`, as [`which_below`] does.
#[inline]
pub(super) fn which(word: [u8; 8], byte: u8) -> u64 {
    which_below((u64::from_le_bytes(word) ^ (ONES * u64::from(byte))).to_le_bytes(), 1)
}

/// The index of the first marked byte.
#[inline]
pub(super) fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_whatever_surrounds_it() {
        // Neighbours that a borrow could come from or go to.
        for around in [0x00, 0x01, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x7f, 0x80, 0xff] {
            for middle in 0..=255_u8 {
                let mut word = [around; 8];
                word[3] = middle;
                let naive = |is: &dyn Fn(u8) -> bool| word.iter().position(|&byte| is(byte));
                let found = |marks: u64| (marks != 0).then(|| first(marks));
                for limit in [1, 0x20, 0x21, 0x80] {
                    assert_eq!(found(which_below(word, limit)), naive(&|byte| byte < limit), "{word:x?} {limit}");
                }
                for byte in [0x00, 0x22, 0x5c, 0x80, 0xff] {
                    assert_eq!(found(which(word, byte)), naive(&|other| other == byte), "{word:x?} {byte}");
                }
            }
        }
    }
}
