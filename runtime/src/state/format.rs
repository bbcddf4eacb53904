//! The bytes of a state file: a head, the state of each detector, a digest.

use std::io::{self, Write};

use qualm_pipeline::SeriesSnapshot;
use sha2::{Digest, Sha256};

use super::Saved;

/// The file's first bytes: its format and version.
const MAGIC: &[u8; 16] = b"qualm state  v1\n";

/// What is in a state file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// When it was written, in seconds since 1970.
    pub(super) written: i64,
    pub(super) detectors: Vec<(String, Vec<SeriesSnapshot>)>,
}

/// Writes a state and, behind it, its digest.
pub(super) fn encode(saved: &Saved, seed: u64, written: i64, out: impl Write) -> io::Result<()> {
    let mut out = Digested { out, digest: Sha256::new() };
    out.put(MAGIC)?;
    out.put_number(seed)?;
    out.put_number(written as u64)?;
    out.put_number(saved.len() as u64)?;
    for (name, slices) in saved {
        out.put_bytes(name.as_bytes())?;
        out.put_number(slices.len() as u64)?;
        for slice in slices {
            let SeriesSnapshot { identities, ages, state } = &**slice;
            out.put_number(identities.len() as u64)?;
            for (identity, age) in identities.iter().zip(ages) {
                out.put_number(*identity)?;
                out.put(&age.to_le_bytes())?;
            }
            out.put_bytes(state)?;
        }
    }
    let Digested { mut out, digest } = out;
    out.write_all(&digest.finalize())?;
    out.flush()
}

/// Digests what is written.
struct Digested<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Digested<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }

    fn put_number(&mut self, number: u64) -> io::Result<()> {
        self.put(&number.to_le_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put_number(bytes.len() as u64)?;
        self.put(bytes)
    }
}

pub(super) fn decode(bytes: &[u8], seed: u64) -> Option<Stored> {
    let (body, digest) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(body).as_slice() != digest {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    if take_number(&mut rest)? != seed {
        return None;
    }
    let written = take_number(&mut rest)? as i64;
    let mut detectors = Vec::new();
    for _ in 0..take_number(&mut rest)? {
        let name = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
        let mut slices = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            let mut slice = SeriesSnapshot::default();
            for _ in 0..take_number(&mut rest)? {
                slice.identities.push(take_number(&mut rest)?);
                slice.ages.push(u32::from_le_bytes(take(&mut rest)?));
            }
            slice.state = take_bytes(&mut rest)?.to_vec();
            slices.push(slice);
        }
        detectors.push((name, slices));
    }
    rest.is_empty().then_some(Stored { written, detectors })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}
