//! Gzip at the level that costs least.
//!
//! An exposition shrinks to a tenth at level 1; more effort would cost CPU on every node for a few
//! hundred bytes. It must not know what is compressed.

use std::io::Write;

/// Compresses `bytes` (RFC 1952).
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let out = Vec::with_capacity(bytes.len() / 6 + 64);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    // Writing into memory cannot fail; an empty answer would be noticed by any client.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    #[test]
    fn it_reads_back() {
        let text = "node_load1 0.5\n".repeat(1000);
        let mut back = String::new();
        let packed = super::gzip(text.as_bytes());
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
        assert!(packed.len() < text.len() / 20);
    }
}
