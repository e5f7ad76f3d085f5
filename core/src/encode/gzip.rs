//! Gzip at the level that costs least.
//!
//! An exposition shrinks to a tenth at level 1; more effort would cost CPU on every node for a few
//! hundred bytes. It must not know what is compressed.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// No name, no time, an unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A compressor whose tables live on: they are larger than most of what is compressed.
#[derive(Debug)]
pub struct Gzip {
    deflate: Compress,
    /// Length of the last answer: the next one is about as long.
    expected: usize,
}

impl Default for Gzip {
    fn default() -> Self {
        Gzip { deflate: Compress::new(Compression::fast(), false), expected: 0 }
    }
}

impl Gzip {
    /// Compresses `bytes` (RFC 1952).
    #[must_use]
    pub fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        let room = self.expected.max(bytes.len() / 8);
        let mut out = Vec::with_capacity(room + room / 8 + 64);
        out.extend_from_slice(&HEADER);
        self.deflate.reset();
        // Compressing into memory cannot fail; a broken answer would be noticed by any client.
        while let Ok(Status::Ok | Status::BufError) = self.deflate.compress_vec(
            bytes.get(self.taken()..).unwrap_or_default(),
            &mut out,
            FlushCompress::Finish,
        ) {
            out.reserve(out.len() / 2 + 64);
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        self.expected = out.len();
        out
    }

    /// How much of the input is compressed.
    fn taken(&self) -> usize {
        usize::try_from(self.deflate.total_in()).unwrap_or(usize::MAX)
    }
}

/// Compresses `bytes` once (RFC 1952).
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    Gzip::default().pack(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpack(packed: &[u8]) -> Vec<u8> {
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut back).unwrap();
        back
    }

    #[test]
    fn it_reads_back_each_time() {
        let text = "node_load1 0.5\n".repeat(1000);
        let noise: Vec<u8> =
            (0..300_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut gzip = Gzip::default();
        for bytes in [text.as_bytes(), &noise, b"", text.as_bytes(), b"a"] {
            assert!(unpack(&gzip.pack(bytes)) == bytes, "{} bytes", bytes.len());
        }
        assert!(gzip.pack(text.as_bytes()).len() < text.len() / 20);
    }

    #[test]
    fn the_answer_depends_on_nothing_that_came_before() {
        let mut gzip = Gzip::default();
        let first = gzip.pack(b"node_load1 0.5\n");
        drop(gzip.pack(&[7; 100_000]));
        assert_eq!(gzip.pack(b"node_load1 0.5\n"), first);
        assert_eq!(super::gzip(b"node_load1 0.5\n"), first);
    }
}
