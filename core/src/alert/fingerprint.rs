//! The number an alert is known by.
//!
//! Byte for byte Alertmanager's (`model.LabelSet.Fingerprint`), because it stands in the API, in
//! webhooks and in links. It must not know alerts, only label sets.

use serde::{Deserialize, Serialize};

use super::LabelSet;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a 64 over `name 0xff value 0xff`, names in byte order; printed as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of a label set.
    #[must_use]
    pub fn of(labels: &LabelSet) -> Self {
        let hash = labels.iter().fold(OFFSET, |hash, (name, value)| {
            let hash = fnv(fnv(hash, name.as_bytes()), &[0xff]);
            fnv(fnv(hash, value.as_bytes()), &[0xff])
        });
        Fingerprint(hash)
    }

    /// Reads the 16 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u64::from_str_radix(text, 16).ok().map(Fingerprint)).flatten()
    }
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Fingerprint::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 16 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_set_has_the_offset_basis() {
        assert_eq!(Fingerprint::of(&LabelSet::default()).to_string(), "cbf29ce484222325");
        let some = Fingerprint::of(&LabelSet::new([("alertname", "x")]));
        assert_eq!(Fingerprint::parse(&some.to_string()), Some(some));
        assert!(
            Fingerprint::parse("xyz").is_none() && Fingerprint::parse("+bf29ce484222325").is_none()
        );
    }
}
