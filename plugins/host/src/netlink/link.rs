//! Network interfaces: RTM_GETLINK (rtnetlink(7), linux/if_link.h).
//!
//! The kernel tells more here than in PROC/net/dev, and without rounding up several counters into one. It must not
//! know which of it becomes a metric.

use std::collections::HashMap;
use std::io;

use super::{Socket, attributes, push_attribute, u8_at, u16_at, u32_at, until_zero};
use crate::parse::text;

/// Counters of one interface (`struct rtnl_link_stats64`), in the kernel's order.
pub(crate) type Counters = [u64; COUNTERS];

/// Number of counters that node_exporter knows; newer kernels append more.
pub(crate) const COUNTERS: usize = 24;

/// What the kernel says of one interface.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Link<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) index: u32,
    /// ARPHRD_*, such as 1 for Ethernet.
    pub(crate) kind: u16,
    /// IFF_*.
    pub(crate) flags: u32,
    /// Set by an administrator, mostly empty.
    pub(crate) alias: &'a [u8],
    pub(crate) address: &'a [u8],
    pub(crate) broadcast: &'a [u8],
    pub(crate) mtu: Option<u32>,
    /// The interface below this one, or the other end of it.
    pub(crate) lower: Option<u32>,
    pub(crate) queue_length: Option<u32>,
    /// RFC 2863, see [`OPERATIONAL_STATES`].
    pub(crate) operational_state: Option<u8>,
    pub(crate) mode: Option<u8>,
    pub(crate) group: Option<u32>,
    pub(crate) carrier: Option<u8>,
    pub(crate) carrier_changes: Option<u32>,
    pub(crate) carrier_ups: Option<u32>,
    pub(crate) carrier_downs: Option<u32>,
    pub(crate) alternative_names: AlternativeNames<'a>,
    pub(crate) counters: Option<Counters>,
}

/// The words sysfs has for [`Link::operational_state`].
pub(crate) const OPERATIONAL_STATES: [&str; 7] =
    ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];

/// Names beside the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct AlternativeNames<'a>(&'a [u8]);

impl<'a> AlternativeNames<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let names = attributes(self.0).filter(|(kind, _)| *kind == libc::IFLA_ALT_IFNAME);
        names.map(|(_, name)| until_zero(name))
    }
}

/// Hands every interface to `take`.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn links(socket: &mut Socket, take: &mut dyn FnMut(&Link<'_>)) -> io::Result<()> {
    dump(socket, &[0; HEADER], take)
}

/// As [`links`], without counters: for who has many interfaces and only asks what they are.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn settings(socket: &mut Socket, take: &mut dyn FnMut(&Link<'_>)) -> io::Result<()> {
    let mut body = vec![0; HEADER];
    push_attribute(&mut body, libc::IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes());
    dump(socket, &body, take)
}

/// `RTEXT_FILTER_SKIP_STATS` of linux/rtnetlink.h.
const SKIP_STATS: u32 = 1 << 3;

fn dump(socket: &mut Socket, body: &[u8], take: &mut dyn FnMut(&Link<'_>)) -> io::Result<()> {
    socket.dump(libc::RTM_GETLINK, body, &mut |kind, payload| {
        if kind == libc::RTM_NEWLINK
            && let Some(link) = parse(payload)
        {
            take(&link);
        }
    })
}

/// `struct ifinfomsg`.
const HEADER: usize = 16;

/// Reads a link; nothing for one without name.
fn parse(payload: &[u8]) -> Option<Link<'_>> {
    let mut link = Link {
        kind: u16_at(payload, 2)?,
        index: u32_at(payload, 4)?,
        flags: u32_at(payload, 8)?,
        ..Link::default()
    };
    let mut narrow = None;
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = until_zero(value),
            libc::IFLA_IFALIAS => link.alias = until_zero(value),
            libc::IFLA_ADDRESS => link.address = value,
            libc::IFLA_BROADCAST => link.broadcast = value,
            libc::IFLA_MTU => link.mtu = u32_at(value, 0),
            libc::IFLA_LINK => link.lower = u32_at(value, 0),
            libc::IFLA_TXQLEN => link.queue_length = u32_at(value, 0),
            libc::IFLA_OPERSTATE => link.operational_state = u8_at(value, 0),
            libc::IFLA_LINKMODE => link.mode = u8_at(value, 0),
            libc::IFLA_GROUP => link.group = u32_at(value, 0),
            libc::IFLA_CARRIER => link.carrier = u8_at(value, 0),
            libc::IFLA_CARRIER_CHANGES => link.carrier_changes = u32_at(value, 0),
            libc::IFLA_CARRIER_UP_COUNT => link.carrier_ups = u32_at(value, 0),
            libc::IFLA_CARRIER_DOWN_COUNT => link.carrier_downs = u32_at(value, 0),
            libc::IFLA_PROP_LIST => link.alternative_names = AlternativeNames(value),
            libc::IFLA_STATS => narrow = Some(counters(value, 4)),
            libc::IFLA_STATS64 => link.counters = Some(counters(value, 8)),
            _ => {}
        }
    }
    link.counters = link.counters.or(narrow);
    (!link.name.is_empty()).then_some(link)
}

/// Counters of `width` bytes each; those that an old kernel lacks are 0.
fn counters(value: &[u8], width: usize) -> Counters {
    let mut counters = [0; COUNTERS];
    for (counter, bytes) in counters.iter_mut().zip(value.chunks_exact(width)) {
        let wide = bytes.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
        let narrow = || bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes).into());
        *counter = wide.or_else(narrow).unwrap_or(0);
    }
    counters
}

/// The names of interfaces by their numbers: every other answer of the kernel has only the number.
#[derive(Default)]
pub(crate) struct Names {
    /// With the number of the question that showed them last.
    names: HashMap<u32, (String, u64)>,
    question: u64,
}

impl Names {
    /// Asks anew: an interface can be renamed.
    ///
    /// # Errors
    /// Those of [`Socket::dump`].
    pub(crate) fn update(&mut self, socket: &mut Socket) -> io::Result<()> {
        self.question += 1;
        settings(socket, &mut |link| self.note(link))?;
        self.names.retain(|_, (_, shown)| *shown == self.question);
        Ok(())
    }

    fn note(&mut self, link: &Link<'_>) {
        let known = self.names.entry(link.index).or_default();
        if known.0.as_bytes() != link.name {
            known.0 = text(link.name).into_owned();
        }
        known.1 = self.question;
    }

    /// The name of an interface that is still there.
    pub(crate) fn get(&self, index: u32) -> Option<&str> {
        self.names.get(&index).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::Namespace;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![0; HEADER];
        payload[2..4].copy_from_slice(&772u16.to_ne_bytes());
        payload[4..8].copy_from_slice(&3u32.to_ne_bytes());
        payload[8..12].copy_from_slice(&0x1_0049u32.to_ne_bytes());
        for (kind, value) in attributes {
            payload.extend(attribute(*kind, value));
        }
        payload
    }

    #[test]
    fn links_are_read_and_the_wide_counters_win() {
        let names = [attribute(libc::IFLA_ALT_IFNAME, b"enp1\0"), attribute(9, b"x")].concat();
        let payload = message(&[
            (libc::IFLA_IFNAME, b"eth0\0"),
            (libc::IFLA_IFALIAS, b"up link\0"),
            (libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
            (libc::IFLA_MTU, &1500u32.to_ne_bytes()),
            (libc::IFLA_OPERSTATE, &[6]),
            (libc::IFLA_PROP_LIST | 0x8000, &names),
            (libc::IFLA_STATS64, &[[0u8; 8], 5u64.to_ne_bytes()].concat()),
            (libc::IFLA_STATS, &[9; 96]),
        ]);
        let link = parse(&payload).unwrap();
        assert_eq!((link.name, link.alias), (&b"eth0"[..], &b"up link"[..]));
        assert_eq!((link.index, link.kind, link.flags), (3, 772, 0x1_0049));
        assert_eq!((link.mtu, link.operational_state, link.carrier), (Some(1500), Some(6), None));
        assert_eq!(link.alternative_names.iter().collect::<Vec<_>>(), [b"enp1"]);
        assert_eq!(link.counters.map(|counters| counters[..3].to_vec()), Some(vec![0, 5, 0]));
    }

    #[test]
    fn old_kernels_have_narrow_counters_or_none() {
        let narrow = [1u32.to_ne_bytes(), 2u32.to_ne_bytes()].concat();
        let payload = message(&[(libc::IFLA_IFNAME, b"a"), (libc::IFLA_STATS, &narrow)]);
        assert_eq!(parse(&payload).unwrap().counters.unwrap()[..3], [1, 2, 0]);
        assert_eq!(parse(&message(&[(libc::IFLA_IFNAME, b"a")])).unwrap().counters, None);
        assert_eq!(parse(&message(&[])), None, "no name");
    }

    #[test]
    fn names_follow_the_kernel() {
        let mut names = Names::default();
        let mut socket = Socket::route(Namespace::Own);
        names.note(&Link { index: u32::MAX, name: b"gone", ..Link::default() });
        names.update(&mut socket).unwrap();
        assert_eq!((names.get(1), names.get(u32::MAX)), (Some("lo"), None));
        names.note(&Link { index: 1, name: b"renamed", ..Link::default() });
        assert_eq!(names.get(1), Some("renamed"));
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            all in proptest::collection::vec((0u16..64, proptest::collection::vec(any::<u8>(), 0..60)), 0..9)
        ) {
            let all: Vec<_> = all.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            if let Some(link) = parse(&message(&all)) {
                prop_assert!(!link.name.is_empty());
                let _ = link.alternative_names.iter().count();
            }
        }
    }
}
