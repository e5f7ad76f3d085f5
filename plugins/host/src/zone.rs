//! The words `Node 0, zone   Normal` with which the kernel names a zone of memory (mm/vmstat.c).
//!
//! Shared by the files that tell something of each zone. It must not know what they tell.

use crate::parse::shown;

/// A zone and what stands behind its name.
#[derive(Debug, PartialEq)]
pub(crate) struct Zone<'a> {
    /// The line up to the end of the name, which identifies the zone.
    pub(crate) key: &'a [u8],
    pub(crate) node: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Reads the beginning of a line.
pub(crate) fn parse(line: &[u8]) -> Result<Zone<'_>, String> {
    split(line).ok_or_else(|| format!("expected a node and a zone, found {}", shown(line)))
}

fn split(line: &[u8]) -> Option<Zone<'_>> {
    let behind = line.strip_prefix(b"Node ")?;
    let comma = memchr::memchr(b',', behind)?;
    let behind_zone = behind[comma + 1..].trim_ascii_start().strip_prefix(b"zone")?;
    let name = behind_zone.trim_ascii_start();
    let length = name.iter().position(u8::is_ascii_whitespace).unwrap_or(name.len());
    let (name, rest) = name.split_at(length);
    let key = &line[..line.len() - rest.len()];
    (!name.is_empty()).then_some(Zone { key, node: behind[..comma].trim_ascii(), name, rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_a_node_and_a_name() {
        let zone = parse(b"Node 10, zone   Normal   43   7").unwrap();
        assert_eq!((zone.node, zone.name), (&b"10"[..], &b"Normal"[..]));
        assert_eq!(zone.key, b"Node 10, zone   Normal");
        assert_eq!(zone.rest, b"   43   7");
        assert_eq!(parse(b"Node 0, zone DMA").unwrap().rest, b"");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "Node", "Node 0", "Node 0, zone", "Node 0, zone  ", "Nodes 0, zone DMA"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
