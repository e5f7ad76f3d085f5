//! The families of `netdev` and how the kernel's counters make them up.
//!
//! node_exporter folds several counters into one under short names and tells them one by one only
//! on demand; the tables here are that folding. It must not know where the counters were read.

use vigie_core::metric::{Family, FamilyDoc};

use crate::netlink::link::Counters;

/// Where counters come from; the same position means another counter in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `struct rtnl_link_stats64`.
    Netlink,
    /// The columns of PROC/net/dev.
    File,
}

/// A family and the positions of the counters that are summed for it.
pub(crate) struct Figure {
    pub(crate) family: Family<2>,
    counters: &'static [usize],
}

impl Figure {
    pub(crate) fn value(&self, counters: &Counters) -> u64 {
        let values = self.counters.iter().filter_map(|&index| counters.get(index));
        values.fold(0, |sum, &value| sum.wrapping_add(value))
    }
}

/// The figures of a source under short or detailed names.
pub(crate) fn figures(source: Source, detailed: bool) -> &'static [Figure] {
    match (source, detailed) {
        (Source::Netlink, false) => &NETLINK,
        (Source::Netlink, true) => &NETLINK_DETAILED,
        (Source::File, false) => &FILE,
        (Source::File, true) => &FILE_DETAILED,
    }
}

/// Every family that some combination of flags gives.
pub(crate) static ALL: [FamilyDoc; NETLINK.len() + NETLINK_DETAILED.len() - SHARED.len() + 1] = {
    let mut all = [super::ADDRESS.doc(); NETLINK.len() + NETLINK_DETAILED.len() - SHARED.len() + 1];
    let mut next = 1;
    let mut i = 0;
    while i < NETLINK.len() {
        all[next] = NETLINK[i].family.doc();
        next += 1;
        i += 1;
    }
    i = SHARED.len();
    while i < NETLINK_DETAILED.len() {
        all[next] = NETLINK_DETAILED[i].family.doc();
        next += 1;
        i += 1;
    }
    all
};

/// Positions in `struct rtnl_link_stats64` that both netlink tables begin with.
static SHARED: [usize; 7] = [0, 1, 2, 3, 21, 22, 23];

static NETLINK: [Figure; 17] = [
    figure("node_network_receive_packets_total", "Packets received.", &[0]),
    figure("node_network_transmit_packets_total", "Packets sent.", &[1]),
    figure("node_network_receive_bytes_total", "Bytes received.", &[2]),
    figure("node_network_transmit_bytes_total", "Bytes sent.", &[3]),
    figure("node_network_receive_compressed_total", "Compressed packets received.", &[21]),
    figure("node_network_transmit_compressed_total", "Compressed packets sent.", &[22]),
    figure("node_network_receive_nohandler_total", "Packets received for no protocol.", &[23]),
    figure("node_network_receive_errs_total", "Bad packets received.", &[4]),
    figure("node_network_transmit_errs_total", "Packets not sent because of errors.", &[5]),
    figure("node_network_receive_drop_total", "Packets received and dropped or missed.", &[6, 15]),
    figure("node_network_transmit_drop_total", "Packets dropped before they were sent.", &[7]),
    figure("node_network_receive_multicast_total", "Multicast packets received.", &[8]),
    figure("node_network_transmit_colls_total", "Collisions.", &[9]),
    figure(
        "node_network_receive_frame_total",
        "Packets received with a wrong frame, length or checksum.",
        &[10, 11, 12, 13],
    ),
    figure("node_network_receive_fifo_total", "Overruns of the receive queue.", &[14]),
    figure(
        "node_network_transmit_carrier_total",
        "Packets not sent for want of a carrier, heartbeat or window.",
        &[16, 17, 19, 20],
    ),
    figure("node_network_transmit_fifo_total", "Underruns of the transmit queue.", &[18]),
];

static NETLINK_DETAILED: [Figure; 24] = [
    figure("node_network_receive_packets_total", "Packets received.", &[0]),
    figure("node_network_transmit_packets_total", "Packets sent.", &[1]),
    figure("node_network_receive_bytes_total", "Bytes received.", &[2]),
    figure("node_network_transmit_bytes_total", "Bytes sent.", &[3]),
    figure("node_network_receive_compressed_total", "Compressed packets received.", &[21]),
    figure("node_network_transmit_compressed_total", "Compressed packets sent.", &[22]),
    figure("node_network_receive_nohandler_total", "Packets received for no protocol.", &[23]),
    figure("node_network_receive_errors_total", "Bad packets received.", &[4]),
    figure("node_network_transmit_errors_total", "Packets not sent because of errors.", &[5]),
    figure("node_network_receive_dropped_total", "Packets received and dropped.", &[6]),
    figure("node_network_transmit_dropped_total", "Packets dropped before they were sent.", &[7]),
    figure("node_network_multicast_total", "Multicast packets received.", &[8]),
    figure("node_network_collisions_total", "Collisions.", &[9]),
    figure(
        "node_network_receive_length_errors_total",
        "Packets received too long or short.",
        &[10],
    ),
    figure("node_network_receive_over_errors_total", "Overflows of the receive ring.", &[11]),
    figure("node_network_receive_crc_errors_total", "Packets received with a bad checksum.", &[12]),
    figure("node_network_receive_frame_errors_total", "Packets received misaligned.", &[13]),
    figure("node_network_receive_fifo_errors_total", "Overruns of the receive queue.", &[14]),
    figure("node_network_receive_missed_errors_total", "Packets missed by the interface.", &[15]),
    figure("node_network_transmit_aborted_errors_total", "Transmissions aborted.", &[16]),
    figure("node_network_transmit_carrier_errors_total", "Losses of carrier.", &[17]),
    figure("node_network_transmit_fifo_errors_total", "Underruns of the transmit queue.", &[18]),
    figure("node_network_transmit_heartbeat_errors_total", "Heartbeats missed.", &[19]),
    figure("node_network_transmit_window_errors_total", "Late collisions.", &[20]),
];

static FILE: [Figure; 16] = file([
    "node_network_receive_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_errs_total",
    "node_network_transmit_drop_total",
]);

static FILE_DETAILED: [Figure; 16] = file([
    "node_network_receive_errors_total",
    "node_network_receive_dropped_total",
    "node_network_transmit_errors_total",
    "node_network_transmit_dropped_total",
]);

/// PROC/net/dev has one folding only; the four names differ.
const fn file(names: [&'static str; 4]) -> [Figure; 16] {
    [
        figure("node_network_receive_bytes_total", "Bytes received.", &[0]),
        figure("node_network_receive_packets_total", "Packets received.", &[1]),
        figure(names[0], "Bad packets received.", &[2]),
        figure(names[1], "Packets received and dropped or missed.", &[3]),
        figure("node_network_receive_fifo_total", "Overruns of the receive queue.", &[4]),
        figure(
            "node_network_receive_frame_total",
            "Packets received with a wrong frame, length or checksum.",
            &[5],
        ),
        figure("node_network_receive_compressed_total", "Compressed packets received.", &[6]),
        figure("node_network_receive_multicast_total", "Multicast packets received.", &[7]),
        figure("node_network_transmit_bytes_total", "Bytes sent.", &[8]),
        figure("node_network_transmit_packets_total", "Packets sent.", &[9]),
        figure(names[2], "Packets not sent because of errors.", &[10]),
        figure(names[3], "Packets dropped before they were sent.", &[11]),
        figure("node_network_transmit_fifo_total", "Underruns of the transmit queue.", &[12]),
        figure("node_network_transmit_colls_total", "Collisions.", &[13]),
        figure(
            "node_network_transmit_carrier_total",
            "Packets not sent for want of a carrier, heartbeat or window.",
            &[14],
        ),
        figure("node_network_transmit_compressed_total", "Compressed packets sent.", &[15]),
    ]
}

const fn figure(name: &'static str, help: &'static str, counters: &'static [usize]) -> Figure {
    Figure { family: Family::counter(name, help, ["device", "ifalias"]), counters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: Source, detailed: bool, name: &str) -> Option<u64> {
        let counters = std::array::from_fn(|index| 1 << index);
        let name = format!("node_network_{name}_total");
        let mut all = figures(source, detailed).iter();
        all.find(|figure| figure.family.doc().name == name).map(|figure| figure.value(&counters))
    }

    #[test]
    fn short_names_fold_and_detailed_ones_do_not() {
        let bits = |bits: &[u32]| Some(bits.iter().map(|bit| 1 << bit).sum());
        let short = |name| value(Source::Netlink, false, name);
        assert_eq!(short("receive_drop"), bits(&[6, 15]));
        assert_eq!(short("receive_frame"), bits(&[10, 11, 12, 13]));
        assert_eq!(short("transmit_carrier"), bits(&[16, 17, 19, 20]));
        assert_eq!(value(Source::Netlink, true, "receive_dropped"), bits(&[6]));
        assert_eq!(value(Source::File, false, "receive_nohandler"), None);
    }

    #[test]
    fn each_counter_of_the_kernel_is_told_once() {
        for detailed in [false, true] {
            let mut told: Vec<usize> = figures(Source::Netlink, detailed)
                .iter()
                .flat_map(|f| f.counters)
                .copied()
                .collect();
            told.sort_unstable();
            assert_eq!(told, (0..24).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_family_is_listed_once() {
        let mut names: Vec<_> = ALL.iter().map(|doc| doc.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
