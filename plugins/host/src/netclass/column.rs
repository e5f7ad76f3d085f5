//! The numbers of an interface: their families, their files in sysfs, and where netlink tells them.
//!
//! Three are told by sysfs alone, so those files are read either way. It must not know how a file is read.

use vigie_core::metric::Family;

use crate::netlink::link::Link;

/// One number.
pub(super) struct Column {
    pub(super) family: Family<1>,
    /// The file in SYS/class/net/NAME.
    pub(super) attribute: &'static str,
    pub(super) in_link: InLink,
}

/// Where a link of rtnetlink has a number.
pub(super) enum InLink {
    Told(fn(&Link<'_>) -> Option<i64>),
    /// Only sysfs has it.
    Untold,
}

use InLink::{Told, Untold};

/// The file that says whether an administrator wants an interface up.
pub(super) const FLAGS: &str = "flags";

pub(super) static COLUMNS: [Column; 16] = [
    gauge(
        "node_network_address_assign_type",
        "Where the address comes from: 0 permanent, 1 random, 2 stolen, 3 set.",
        "addr_assign_type",
        Untold,
    ),
    gauge(
        "node_network_carrier",
        "Whether there is a carrier.",
        "carrier",
        Told(|link| link.carrier.map(i64::from)),
    ),
    counter(
        "node_network_carrier_changes_total",
        "Changes of the carrier.",
        "carrier_changes",
        Told(|link| link.carrier_changes.map(i64::from)),
    ),
    counter(
        "node_network_carrier_up_changes_total",
        "How often the carrier came.",
        "carrier_up_count",
        Told(|link| link.carrier_ups.map(i64::from)),
    ),
    counter(
        "node_network_carrier_down_changes_total",
        "How often the carrier went.",
        "carrier_down_count",
        Told(|link| link.carrier_downs.map(i64::from)),
    ),
    gauge(
        "node_network_device_id",
        "Tells interfaces apart that share an address.",
        "dev_id",
        Untold,
    ),
    gauge(
        "node_network_dormant",
        "Whether the interface waits for an event before it can be used.",
        "dormant",
        // Over netlink node_exporter shows the mode, whose 1 is dormant.
        Told(|link| link.mode.map(i64::from)),
    ),
    gauge(
        "node_network_flags",
        "Flags of the interface (IFF_*), as a number.",
        FLAGS,
        Told(|link| Some(link.flags.into())),
    ),
    gauge(
        "node_network_iface_id",
        "Number of the interface.",
        "ifindex",
        Told(|link| Some(link.index.into())),
    ),
    gauge(
        "node_network_iface_link",
        "Number of the interface below this one, or its own.",
        "iflink",
        Told(|link| Some(link.lower.unwrap_or(link.index).into())),
    ),
    gauge(
        "node_network_iface_link_mode",
        "Mode of the link: 0 default, 1 dormant.",
        "link_mode",
        Told(|link| link.mode.map(i64::from)),
    ),
    gauge(
        "node_network_mtu_bytes",
        "Largest packet in bytes.",
        "mtu",
        Told(|link| link.mtu.map(i64::from)),
    ),
    gauge(
        "node_network_name_assign_type",
        "Where the name comes from: 1 kernel, 2 predictable, 3 user space, 4 renamed.",
        "name_assign_type",
        Untold,
    ),
    gauge(
        "node_network_net_dev_group",
        "Group of the interface.",
        "netdev_group",
        Told(|link| link.group.map(i64::from)),
    ),
    gauge(
        "node_network_transmit_queue_length",
        "Packets the transmit queue holds.",
        "tx_queue_len",
        Told(|link| link.queue_length.map(i64::from)),
    ),
    gauge(
        "node_network_protocol_type",
        "Kind of the interface (ARPHRD_*), as a number.",
        "type",
        Told(|link| Some(link.kind.into())),
    ),
];

const fn gauge(
    name: &'static str,
    help: &'static str,
    attribute: &'static str,
    in_link: InLink,
) -> Column {
    Column { family: Family::gauge(name, help, ["device"]), attribute, in_link }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    attribute: &'static str,
    in_link: InLink,
) -> Column {
    Column { family: Family::counter(name, help, ["device"]), attribute, in_link }
}
