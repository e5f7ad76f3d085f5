//! Queueing disciplines: RTM_GETQDISC (rtnetlink(7), linux/pkt_sched.h, linux/gen_stats.h).
//!
//! Every discipline has the statistics read here, whatever else it tells. It must not know the names of interfaces.

use std::io;

use super::{Socket, attributes, u32_at, u64_at, until_zero};

/// What the kernel says of one discipline.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Qdisc<'a> {
    /// The number of the interface.
    pub(crate) interface: u32,
    /// 0 or [`ROOT`] for that of the interface itself.
    pub(crate) parent: u32,
    /// Such as `fq_codel`.
    pub(crate) kind: &'a [u8],
    pub(crate) statistics: Statistics,
}

/// Statistics of a discipline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) drops: u64,
    pub(crate) requeues: u64,
    pub(crate) overlimits: u64,
    /// Packets waiting.
    pub(crate) queue_length: u64,
    /// Bytes waiting.
    pub(crate) backlog: u64,
}

/// `TC_H_ROOT`.
pub(crate) const ROOT: u32 = u32::MAX;

/// Hands every discipline to `take`.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn qdiscs(socket: &mut Socket, take: &mut dyn FnMut(&Qdisc<'_>)) -> io::Result<()> {
    socket.dump(libc::RTM_GETQDISC, &[0; HEADER], &mut |kind, payload| {
        if kind == libc::RTM_NEWQDISC
            && let Some(qdisc) = parse(payload)
        {
            take(&qdisc);
        }
    })
}

/// `struct tcmsg`.
const HEADER: usize = 20;

fn parse(payload: &[u8]) -> Option<Qdisc<'_>> {
    let mut qdisc =
        Qdisc { interface: u32_at(payload, 4)?, parent: u32_at(payload, 12)?, ..Qdisc::default() };
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::TCA_KIND => qdisc.kind = until_zero(value),
            libc::TCA_STATS2 => qdisc.statistics = statistics(value),
            _ => {}
        }
    }
    Some(qdisc)
}

/// Attributes within `TCA_STATS2`.
const BASIC: u16 = 1;
const QUEUE: u16 = 3;
const PACKETS64: u16 = 8;

fn statistics(nest: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    let mut packets64 = None;
    for (kind, value) in attributes(nest) {
        let number = |at| u32_at(value, at).unwrap_or(0).into();
        match kind {
            // `struct gnet_stats_basic`.
            BASIC => {
                statistics.bytes = u64_at(value, 0).unwrap_or(0);
                statistics.packets = number(8);
            }
            // `struct gnet_stats_queue`.
            QUEUE => {
                statistics.queue_length = number(0);
                statistics.backlog = number(4);
                statistics.drops = number(8);
                statistics.requeues = number(12);
                statistics.overlimits = number(16);
            }
            // Sent only where 32 bits are too few.
            PACKETS64 => packets64 = u64_at(value, 0),
            _ => {}
        }
    }
    statistics.packets = packets64.unwrap_or(statistics.packets);
    statistics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![0; HEADER];
        payload[4..8].copy_from_slice(&3u32.to_ne_bytes());
        payload[12..16].copy_from_slice(&ROOT.to_ne_bytes());
        for (kind, value) in attributes {
            payload.extend(attribute(*kind, value));
        }
        payload
    }

    #[test]
    fn statistics_are_read_whatever_their_order() {
        let queue: Vec<u8> = [1u32, 2, 3, 4, 5].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let wide = (1u64 << 33).to_ne_bytes();
        let nest = [
            attribute(PACKETS64, &wide),
            attribute(BASIC, &[(1u64 << 40).to_ne_bytes(), 7u64.to_ne_bytes()].concat()),
            attribute(QUEUE, &queue),
        ];
        let payload = message(&[
            (libc::TCA_KIND, b"fq_codel\0"),
            (libc::TCA_STATS2, &nest.concat()),
            (libc::TCA_STATS, &[9; 36]),
        ]);
        let qdisc = parse(&payload).unwrap();
        assert_eq!((qdisc.interface, qdisc.parent, qdisc.kind), (3, ROOT, &b"fq_codel"[..]));
        let statistics = Statistics {
            bytes: 1 << 40,
            packets: 1 << 33,
            queue_length: 1,
            backlog: 2,
            drops: 3,
            requeues: 4,
            overlimits: 5,
        };
        assert_eq!(qdisc.statistics, statistics);
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            all in proptest::collection::vec((0u16..9, proptest::collection::vec(any::<u8>(), 0..60)), 0..9)
        ) {
            let all: Vec<_> = all.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            prop_assert_eq!(parse(&message(&all)).unwrap().interface, 3);
        }
    }
}
