//! Wireless interfaces: family `nl80211` (linux/nl80211.h).
//!
//! Interfaces, the network each is joined to, and the stations it hears. It must not know that a recorded answer can
//! take the kernel's place.

use std::io;
use std::time::Duration;

use super::generic::Generic;
use super::{attributes, push_attribute, u8_at, u16_at, u32_at, u64_at, until_zero};
use crate::namespace::Namespace;
use crate::parse::text;

/// The family; of kind `NotFound` are its errors where no wireless driver is loaded.
pub(crate) fn family(namespace: Namespace) -> Generic {
    Generic::new("nl80211", namespace)
}

/// A wireless interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The number of the interface.
    pub(crate) index: u32,
    /// Empty for some virtual ones.
    pub(crate) name: String,
    /// MHz; 0 when it is on no channel.
    pub(crate) frequency: u64,
}

/// A network that an interface is joined to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) ssid: String,
    pub(crate) bssid: Vec<u8>,
    pub(crate) status: Status,
}

/// How an interface takes part in a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// Authenticated at or associated with an access point.
    Client,
    /// Joined to a network without access point.
    AdHoc,
    #[default]
    Unknown,
}

/// Another end that an interface hears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) address: Vec<u8>,
    pub(crate) connected: Duration,
    pub(crate) inactive: Duration,
    /// bit/s.
    pub(crate) receive_rate: u64,
    /// bit/s.
    pub(crate) send_rate: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_packets: u64,
    pub(crate) sent_packets: u64,
    /// dBm.
    pub(crate) signal: i64,
    pub(crate) retries: u64,
    pub(crate) failures: u64,
    pub(crate) beacon_losses: u64,
}

/// All wireless interfaces.
///
/// # Errors
/// Those of [`Generic::dump`].
pub(crate) fn interfaces(family: &mut Generic) -> io::Result<Vec<Interface>> {
    let mut interfaces = Vec::new();
    family.dump(GET_INTERFACE, &[], &mut |message| interfaces.push(interface(message)))?;
    Ok(interfaces)
}

/// The network an interface is joined to.
///
/// # Errors
/// Those of [`Generic::dump`].
pub(crate) fn network(family: &mut Generic, interface: u32) -> io::Result<Option<Network>> {
    let mut joined = None;
    family.dump(GET_SCAN, &about(interface), &mut |message| {
        joined = joined.take().or(bss(message));
    })?;
    Ok(joined)
}

/// The stations an interface hears.
///
/// # Errors
/// Those of [`Generic::dump`].
pub(crate) fn stations(family: &mut Generic, interface: u32) -> io::Result<Vec<Station>> {
    let mut stations = Vec::new();
    family
        .dump(GET_STATION, &about(interface), &mut |message| stations.extend(station(message)))?;
    Ok(stations)
}

fn about(interface: u32) -> Vec<u8> {
    let mut request = Vec::new();
    push_attribute(&mut request, IFINDEX, &interface.to_ne_bytes());
    request
}

/// `NL80211_CMD_*`.
const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SCAN: u8 = 32;

/// `NL80211_ATTR_*`.
const IFINDEX: u16 = 3;
const IFNAME: u16 = 4;
const MAC: u16 = 6;
const STA_INFO: u16 = 21;
const WIPHY_FREQ: u16 = 38;
const BSS: u16 = 47;

fn interface(message: &[u8]) -> Interface {
    let mut interface = Interface::default();
    for (kind, value) in attributes(message) {
        match kind {
            IFINDEX => interface.index = u32_at(value, 0).unwrap_or(0),
            IFNAME => interface.name = text(until_zero(value)).into_owned(),
            WIPHY_FREQ => interface.frequency = number(value),
            _ => {}
        }
    }
    interface
}

/// `NL80211_BSS_*`.
const BSS_BSSID: u16 = 1;
const BSS_INFORMATION_ELEMENTS: u16 = 6;
const BSS_STATUS: u16 = 9;

/// The network of a scan result, when the interface is joined to it.
fn bss(message: &[u8]) -> Option<Network> {
    let (_, nest) = attributes(message).find(|(kind, _)| *kind == BSS)?;
    let mut network = Network::default();
    let mut is_joined = false;
    for (kind, value) in attributes(nest) {
        match kind {
            BSS_BSSID => network.bssid = value.to_vec(),
            BSS_INFORMATION_ELEMENTS => network.ssid = ssid(value).unwrap_or_default(),
            BSS_STATUS => {
                is_joined = true;
                network.status = match u32_at(value, 0)? {
                    0 | 1 => Status::Client,
                    2 => Status::AdHoc,
                    _ => Status::Unknown,
                };
            }
            _ => {}
        }
    }
    is_joined.then_some(network)
}

/// The element 0 of a beacon (IEEE 802.11, 9.4.2.2): number, length, and the name of the network.
fn ssid(mut elements: &[u8]) -> Option<String> {
    loop {
        let (number, length) = (u8_at(elements, 0)?, usize::from(u8_at(elements, 1)?));
        let value = elements.get(2..2 + length)?;
        if number == 0 {
            return Some(text(value).into_owned());
        }
        elements = elements.get(2 + length..)?;
    }
}

/// `NL80211_STA_INFO_*`.
mod info {
    pub(super) const INACTIVE_TIME: u16 = 1;
    pub(super) const RX_BYTES: u16 = 2;
    pub(super) const TX_BYTES: u16 = 3;
    pub(super) const SIGNAL: u16 = 7;
    pub(super) const TX_BITRATE: u16 = 8;
    pub(super) const RX_PACKETS: u16 = 9;
    pub(super) const TX_PACKETS: u16 = 10;
    pub(super) const TX_RETRIES: u16 = 11;
    pub(super) const TX_FAILED: u16 = 12;
    pub(super) const RX_BITRATE: u16 = 14;
    pub(super) const CONNECTED_TIME: u16 = 16;
    pub(super) const BEACON_LOSS: u16 = 18;
    pub(super) const RX_BYTES64: u16 = 23;
    pub(super) const TX_BYTES64: u16 = 24;
}

/// A station; the counters of 64 bits win over the older ones of 32.
fn station(message: &[u8]) -> Option<Station> {
    let mut station = Station::default();
    let (mut received, mut sent) = (None, None);
    for (kind, value) in attributes(message) {
        if kind == MAC {
            station.address = value.to_vec();
        }
    }
    let (_, nest) = attributes(message).find(|(kind, _)| *kind == STA_INFO)?;
    for (kind, value) in attributes(nest) {
        match kind {
            info::INACTIVE_TIME => station.inactive = Duration::from_millis(number(value)),
            info::CONNECTED_TIME => station.connected = Duration::from_secs(number(value)),
            info::RX_BYTES => station.received_bytes = number(value),
            info::TX_BYTES => station.sent_bytes = number(value),
            info::RX_BYTES64 => received = u64_at(value, 0),
            info::TX_BYTES64 => sent = u64_at(value, 0),
            info::RX_PACKETS => station.received_packets = number(value),
            info::TX_PACKETS => station.sent_packets = number(value),
            info::SIGNAL => station.signal = u8_at(value, 0).unwrap_or(0).cast_signed().into(),
            info::RX_BITRATE => station.receive_rate = rate(value),
            info::TX_BITRATE => station.send_rate = rate(value),
            info::TX_RETRIES => station.retries = number(value),
            info::TX_FAILED => station.failures = number(value),
            info::BEACON_LOSS => station.beacon_losses = number(value),
            _ => {}
        }
    }
    station.received_bytes = received.unwrap_or(station.received_bytes);
    station.sent_bytes = sent.unwrap_or(station.sent_bytes);
    Some(station)
}

/// `NL80211_RATE_INFO_*`: 100 kbit/s in 16 bits, and in 32 where those are too few.
const BITRATE: u16 = 1;
const BITRATE32: u16 = 5;

fn rate(nest: &[u8]) -> u64 {
    let find = |wanted| attributes(nest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let wide = find(BITRATE32).and_then(|value| u32_at(value, 0));
    let narrow = || find(BITRATE).and_then(|value| u16_at(value, 0)).map(u32::from);
    u64::from(wide.or_else(narrow).unwrap_or(0)) * 100_000
}

fn number(value: &[u8]) -> u64 {
    u32_at(value, 0).unwrap_or(0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn number(kind: u16, value: u32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }

    #[test]
    fn interfaces_have_a_channel_or_none() {
        let message = [number(IFINDEX, 3), attribute(IFNAME, b"wlan0\0"), number(WIPHY_FREQ, 2412)];
        let wlan0 = Interface { index: 3, name: "wlan0".into(), frequency: 2412 };
        assert_eq!(interface(&message.concat()), wlan0);
        assert_eq!(interface(&number(IFINDEX, 4)), Interface { index: 4, ..Interface::default() });
    }

    #[test]
    fn only_the_network_joined_has_a_status() {
        let elements = [&[1, 2, 0x82, 0x84][..], &[0, 4], b"home", &[3, 1, 6]].concat();
        let seen = [attribute(BSS_BSSID, &[2; 6]), attribute(BSS_INFORMATION_ELEMENTS, &elements)];
        assert_eq!(bss(&attribute(BSS, &seen.concat())), None);
        let status =
            [(0, Status::Client), (1, Status::Client), (2, Status::AdHoc), (9, Status::Unknown)];
        for (word, status) in status {
            let joined = [seen.concat(), number(BSS_STATUS, word)].concat();
            let network = Network { ssid: "home".into(), bssid: vec![2; 6], status };
            assert_eq!(bss(&attribute(BSS, &joined)), Some(network));
        }
        assert_eq!(ssid(&[0, 9, b'c', b'u', b't']), None);
    }

    #[test]
    fn a_station_has_wide_counters_and_rates() {
        let nest = [
            number(info::INACTIVE_TIME, 400),
            number(info::CONNECTED_TIME, 30),
            attribute(info::RX_BYTES64, &(1u64 << 40).to_ne_bytes()),
            number(info::RX_BYTES, 7),
            number(info::TX_BYTES, 8),
            attribute(info::SIGNAL, &[(-52i8).cast_unsigned()]),
            attribute(info::RX_BITRATE, &attribute(BITRATE, &1280u16.to_ne_bytes())),
            attribute(
                info::TX_BITRATE,
                &[attribute(BITRATE, &[0; 2]), number(BITRATE32, 70_000)].concat(),
            ),
            number(info::TX_RETRIES, 10),
            number(info::TX_FAILED, 2),
            number(info::BEACON_LOSS, 1),
            number(info::RX_PACKETS, 5),
            number(info::TX_PACKETS, 6),
        ];
        let message = [attribute(MAC, &[1; 6]), attribute(STA_INFO, &nest.concat())].concat();
        let expected = Station {
            address: vec![1; 6],
            connected: Duration::from_secs(30),
            inactive: Duration::from_millis(400),
            receive_rate: 128_000_000,
            send_rate: 7_000_000_000,
            received_bytes: 1 << 40,
            sent_bytes: 8,
            received_packets: 5,
            sent_packets: 6,
            signal: -52,
            retries: 10,
            failures: 2,
            beacon_losses: 1,
        };
        assert_eq!(station(&message), Some(expected));
        assert_eq!(station(&attribute(MAC, &[1; 6])), None);
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            outer in 0u16..60,
            all in proptest::collection::vec((0u16..40, proptest::collection::vec(any::<u8>(), 0..20)), 0..9)
        ) {
            let nest: Vec<u8> = all.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
            for message in [&nest, &attribute(outer, &nest), &attribute(BSS, &nest), &attribute(STA_INFO, &nest)] {
                let _ = (interface(message), bss(message), station(message));
            }
            prop_assert!(station(&attribute(STA_INFO, &nest)).is_some());
        }

        #[test]
        fn any_elements_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(ssid(&bytes).is_none_or(|name| name.len() <= 3 * bytes.len()));
        }
    }
}
