//! Speed and duplex of interfaces: family `ethtool` (linux/ethtool_netlink.h, networking/ethtool-netlink.rst).
//!
//! One question for all interfaces, where ioctls and sysfs need several for each. It must not know which of it becomes
//! a metric.

use std::io;

use super::generic::Generic;
use super::{attributes, push_attribute, u8_at, u32_at, until_zero};
use crate::namespace::Namespace;

/// The family; Linux 5.6 and later.
pub(crate) fn family(namespace: Namespace) -> Generic {
    Generic::new("ethtool", namespace)
}

/// How an interface is linked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LinkMode<'a> {
    pub(crate) name: &'a [u8],
    /// Mbit/s; `None` where the interface does not know.
    pub(crate) speed: Option<u32>,
    pub(crate) duplex: Option<Duplex>,
}

/// Whether both ends may send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplex {
    Half,
    Full,
    /// The interface does not know.
    Unknown,
}

/// Hands every interface that has link modes to `take`.
///
/// # Errors
/// Those of [`Generic::dump`].
pub(crate) fn link_modes(
    family: &mut Generic,
    take: &mut dyn FnMut(&LinkMode<'_>),
) -> io::Result<()> {
    let mut header = Vec::new();
    push_attribute(&mut header, HEADER_FLAGS, &COMPACT_BITSETS.to_ne_bytes());
    let mut request = Vec::new();
    push_attribute(&mut request, HEADER | NESTED, &header);
    family.dump(LINKMODES_GET, &request, &mut |attributes| {
        if let Some(mode) = parse(attributes) {
            take(&mode);
        }
    })
}

/// `ETHTOOL_MSG_LINKMODES_GET`.
const LINKMODES_GET: u8 = 4;
/// `ETHTOOL_FLAG_COMPACT_BITSETS`: modes as bits, not by name.
const COMPACT_BITSETS: u32 = 1;
const NESTED: u16 = 0x8000;

/// `ETHTOOL_A_LINKMODES_*`, and `ETHTOOL_A_HEADER_*` within the header.
const HEADER: u16 = 1;
const HEADER_NAME: u16 = 2;
const HEADER_FLAGS: u16 = 3;
const SPEED: u16 = 5;
const DUPLEX: u16 = 6;

fn parse(message: &[u8]) -> Option<LinkMode<'_>> {
    let mut mode = LinkMode { name: b"", speed: None, duplex: None };
    for (kind, value) in attributes(message) {
        match kind {
            HEADER => {
                let mut header = attributes(value);
                let name = header.find(|(kind, _)| *kind == HEADER_NAME);
                mode.name = name.map(|(_, name)| until_zero(name)).unwrap_or_default();
            }
            // `SPEED_UNKNOWN` is -1.
            SPEED => mode.speed = u32_at(value, 0).filter(|&speed| speed != u32::MAX),
            DUPLEX => {
                mode.duplex = match u8_at(value, 0)? {
                    0 => Some(Duplex::Half),
                    1 => Some(Duplex::Full),
                    _ => Some(Duplex::Unknown),
                };
            }
            _ => {}
        }
    }
    (!mode.name.is_empty()).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn message(speed: u32, duplex: u8) -> Vec<u8> {
        let header = [attribute(1, &3u32.to_ne_bytes()), attribute(HEADER_NAME, b"eth0\0")];
        let mut message = attribute(HEADER | NESTED, &header.concat());
        message.extend(attribute(SPEED, &speed.to_ne_bytes()));
        message.extend(attribute(DUPLEX, &[duplex]));
        message
    }

    #[test]
    fn an_unknown_speed_is_none() {
        let full = LinkMode { name: b"eth0", speed: Some(1000), duplex: Some(Duplex::Full) };
        assert_eq!(parse(&message(1000, 1)), Some(full));
        let unknown = LinkMode { name: b"eth0", speed: None, duplex: Some(Duplex::Unknown) };
        assert_eq!(parse(&message(u32::MAX, 0xff)), Some(unknown));
        assert_eq!(parse(&attribute(SPEED, &[0; 4])), None, "no name");
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            all in proptest::collection::vec((0u16..9, proptest::collection::vec(any::<u8>(), 0..20)), 0..5)
        ) {
            let message: Vec<u8> = all.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
            prop_assert!(parse(&message).is_none_or(|mode| !mode.name.is_empty()));
        }
    }
}
