//! The hash of an alert in the notification log: xxHash64 with seed 0.
//!
//! Alertmanager's `nflog` file names alerts by it, so ours does too. It must not know what a
//! notification is.

use crate::alert::LabelSet;

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

/// xxHash64 over `name 0xff value 0xff`, names in byte order.
pub(super) fn alert_hash(labels: &LabelSet) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in labels.iter() {
        bytes.extend(name.as_bytes());
        bytes.push(0xff);
        bytes.extend(value.as_bytes());
        bytes.push(0xff);
    }
    xxhash64(&bytes)
}

/// xxHash64 with seed 0 (specification: Cyan4973/xxHash, `doc/xxhash_spec.md`).
pub(super) fn xxhash64(bytes: &[u8]) -> u64 {
    let (blocks, mut tail) = bytes.as_chunks::<32>();
    let mut hash = if blocks.is_empty() { P5 } else { stripes(blocks) };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((word, rest)) = tail.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        tail = rest;
    }
    if let Some((word, rest)) = tail.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        tail = rest;
    }
    for byte in tail {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

fn stripes(blocks: &[[u8; 32]]) -> u64 {
    let mut lanes = [P1.wrapping_add(P2), P2, 0, P1.wrapping_neg()];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
    let hash = turned.fold(0, u64::wrapping_add);
    lanes.iter().fold(hash, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(P1).wrapping_add(P4))
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (text, hash) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
            ("Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
        ] {
            assert_eq!(xxhash64(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn equal_to_what_alertmanager_wrote() {
        // Taken from the `nflog` file of Alertmanager 0.25.
        let labels = LabelSet::new([
            ("alertname", "x"),
            ("a", "zz"),
            ("c", "x\ty"),
            ("e", "q\t\"é\u{200b}\u{1}"),
        ]);
        assert_eq!(alert_hash(&labels), 0x43af_4897_5004_b393);
    }
}
