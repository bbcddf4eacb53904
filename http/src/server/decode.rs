//! Undoing a body's `content-encoding`, with no more output than is allowed.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

use super::refused::Refused;

/// A `content-encoding` that is accepted. `identity` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    /// With zlib's frame, as the standard has it, or without, as many clients have it.
    Deflate,
    Zstd,
    /// One block without a frame, as Vector and Prometheus send it.
    Snappy,
}

/// More encodings on top of one another are an attack.
const MAX_CODINGS: usize = 3;

/// As RFC 9659 has it: 8 MiB, so that a frame cannot ask for more memory than that.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The most memory that a decoder needs beside its input and its output.
pub(crate) const MAX_WINDOW: usize = (1 << ZSTD_WINDOW_LOG) + (1 << 20);

impl Encoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        }
    }

    /// The encodings of a body, in the order in which they are undone.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Vec<Self>, Refused> {
        let mut all = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| Refused::Encoding("(not text)".to_owned()))?;
            for name in value.split(',').map(str::trim) {
                match name.to_ascii_lowercase().as_str() {
                    "" | "identity" => {}
                    "gzip" | "x-gzip" => all.push(Self::Gzip),
                    "deflate" => all.push(Self::Deflate),
                    "zstd" => all.push(Self::Zstd),
                    "snappy" => all.push(Self::Snappy),
                    _ => return Err(Refused::Encoding(name.chars().take(40).collect())),
                }
            }
        }
        if all.len() > MAX_CODINGS {
            return Err(Refused::Encoding(format!("{} times over", all.len())));
        }
        all.reverse();
        Ok(all)
    }

    /// How much memory a decoder needs beside its input and its output, at most.
    pub(crate) fn window(self) -> usize {
        match self {
            Self::Gzip | Self::Deflate => 128 << 10,
            Self::Zstd => MAX_WINDOW,
            Self::Snappy => 0,
        }
    }

    pub(crate) fn corrupt(self, error: &io::Error) -> Refused {
        Refused::Corrupt(self.name(), error.to_string())
    }

    /// The decoded bytes, for all but snappy, which needs the whole block at once.
    pub(crate) fn reader(self, mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        // An empty body is often sent with the header all the same.
        if input.fill_buf()?.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Deflate => Box::new(Inflate::new(input)?),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Snappy => Box::new(input),
        })
    }
}

/// The length of a block's content, if it is possible and no longer than `limit`.
pub(crate) fn snappy_decoded_length(block: &[u8], limit: u64) -> Result<usize, Refused> {
    if block.is_empty() {
        return Ok(0);
    }
    let corrupt = |why: String| Refused::Corrupt(Encoding::Snappy.name(), why);
    let length = snap::raw::decompress_len(block).map_err(|error| corrupt(error.to_string()))?;
    // Three bytes make at most 64. A false length is refused before memory is taken for it.
    if length / 22 > block.len() {
        return Err(corrupt("it says that it is longer than it can be".to_owned()));
    }
    if length as u64 > limit { Err(Refused::TooLarge(limit)) } else { Ok(length) }
}

/// Decodes a block whose length is known.
pub(crate) fn decode_snappy(block: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let mut decoded = vec![0; length];
    if !block.is_empty() {
        snap::raw::Decoder::new()
            .decompress(block, &mut decoded)
            .map_err(|error| Refused::Corrupt(Encoding::Snappy.name(), error.to_string()))?;
    }
    Ok(decoded)
}

/// Reads `deflate` with or without zlib's frame. Unlike flate2's own readers, it reports input that ends early.
struct Inflate<R> {
    input: R,
    state: Decompress,
    ended: bool,
}

impl<R: BufRead> Inflate<R> {
    fn new(mut input: R) -> io::Result<Self> {
        // The first two bytes of zlib's frame have a checksum of their own.
        let zlib = match input.fill_buf()? {
            [first, second, ..] => first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31),
            _ => false,
        };
        Ok(Self { input, state: Decompress::new(zlib), ended: false })
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !into.is_empty() {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let (taken, made) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(input, into, FlushDecompress::None)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.ended = status == Status::StreamEnd;
            self.input.consume((self.state.total_in() - taken) as usize);
            match (self.state.total_out() - made) as usize {
                0 if at_end && !self.ended => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => {}
                made => return Ok(made),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn decoded(encoding: Encoding, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        encoding.reader(Cursor::new(bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn encoded(text: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        vec![
            (Encoding::Gzip, gzip.finish().unwrap()),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Deflate, raw.finish().unwrap()),
            (Encoding::Zstd, zstd::encode_all(text, 1).unwrap()),
        ]
    }

    #[test]
    fn every_truncation_is_noticed() {
        let text: Vec<u8> = (0..2000u32).flat_map(|n| (n * n).to_string().into_bytes()).collect();
        for (encoding, bytes) in encoded(&text) {
            assert_eq!(decoded(encoding, bytes.clone()).unwrap(), text, "{encoding:?}");
            for end in 1..bytes.len() {
                assert!(decoded(encoding, bytes[..end].to_vec()).is_err(), "{encoding:?} at {end} of {}", bytes.len());
            }
            assert_eq!(decoded(encoding, Vec::new()).unwrap(), b"", "{encoding:?}");
        }
    }

    #[test]
    fn a_snappy_block_cannot_lie_about_its_length() {
        let block = snap::raw::Encoder::new().compress_vec(&[7; 1000]).unwrap();
        assert_eq!(snappy_decoded_length(&block, 1000).unwrap(), 1000);
        assert!(matches!(snappy_decoded_length(&block, 999), Err(Refused::TooLarge(999))));
        assert_eq!(decode_snappy(&block, 1000).unwrap(), [7; 1000]);
        assert!(matches!(
            snappy_decoded_length(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], u64::MAX),
            Err(Refused::Corrupt(..))
        ));
        assert!(decode_snappy(&block[..block.len() - 1], 1000).is_err());
    }

    #[test]
    fn a_zstd_frame_cannot_ask_for_a_large_window() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&[7; 1000]).unwrap();
        assert!(decoded(Encoding::Zstd, encoder.finish().unwrap()).is_err());
    }

    #[test]
    fn encodings_are_undone_from_the_last() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, value.parse().unwrap());
            Encoding::from_headers(&headers)
        };
        assert_eq!(of("gzip, Identity,ZSTD").unwrap(), [Encoding::Zstd, Encoding::Gzip]);
        assert!(matches!(of("br"), Err(Refused::Encoding(name)) if name == "br"));
        assert!(of("gzip,gzip,gzip,gzip").is_err());
    }
}
