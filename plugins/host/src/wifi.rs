//! `wifi`: wireless interfaces, the network each is joined to, and the stations it hears (nl80211).
//!
//! A directory of JSON files may take the kernel's place, for tests. It must not know how either is read.

use std::collections::HashSet;
use std::io;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::namespace::Namespace;
use crate::netlink::generic::Generic;
use crate::netlink::hardware_address;
use crate::netlink::nl80211::{self, Interface, Network, Station, Status};

mod recorded;

use recorded::Recorded;

const FIXTURES: &str = "collector.wifi.fixtures";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("wifi", "Wireless interfaces and stations.")
        .needs("a wireless interface")
        .reads("nl80211")
        .off_by_default()
        .flags(&[FlagDef::text(
            FIXTURES,
            "",
            "Directory of JSON files that are read instead of asking the kernel, for tests.",
        )])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(Wifi::new(setting))),
};

static FREQUENCY: Family<1> = Family::gauge(
    "node_wifi_interface_frequency_hertz",
    "Frequency of the channel, 0 for none.",
    ["device"],
);
static INFO: Family<4> = Family::gauge(
    "node_wifi_station_info",
    "The network each interface is joined to; always 1.",
    ["bssid", "device", "mode", "ssid"],
);

/// A family and its number.
struct Column(Family<2>, fn(&Station) -> Number);

enum Number {
    Whole(u64),
    Signed(i64),
    Seconds(std::time::Duration),
}

use Number::{Seconds, Signed, Whole};

const LABELS: [&str; 2] = ["device", "mac_address"];

static COLUMNS: [Column; 12] = [
    counter(
        "node_wifi_station_connected_seconds_total",
        "Seconds since the station connected.",
        |of| Seconds(of.connected),
    ),
    gauge(
        "node_wifi_station_inactive_seconds",
        "Seconds since the station was last heard.",
        |of| Seconds(of.inactive),
    ),
    gauge("node_wifi_station_receive_bits_per_second", "Rate of reception.", |of| {
        Whole(of.receive_rate)
    }),
    gauge("node_wifi_station_transmit_bits_per_second", "Rate of transmission.", |of| {
        Whole(of.send_rate)
    }),
    counter("node_wifi_station_receive_bytes_total", "Bytes received from the station.", |of| {
        Whole(of.received_bytes)
    }),
    counter("node_wifi_station_transmit_bytes_total", "Bytes sent to the station.", |of| {
        Whole(of.sent_bytes)
    }),
    counter(
        "node_wifi_station_received_packets_total",
        "Packets received from the station.",
        |of| Whole(of.received_packets),
    ),
    counter("node_wifi_station_transmitted_packets_total", "Packets sent to the station.", |of| {
        Whole(of.sent_packets)
    }),
    gauge("node_wifi_station_signal_dbm", "Strength of the signal.", |of| Signed(of.signal)),
    counter("node_wifi_station_transmit_retries_total", "Packets sent again.", |of| {
        Whole(of.retries)
    }),
    counter("node_wifi_station_transmit_failed_total", "Packets given up.", |of| {
        Whole(of.failures)
    }),
    counter("node_wifi_station_beacon_loss_total", "Beacons that did not come.", |of| {
        Whole(of.beacon_losses)
    }),
];

const fn gauge(name: &'static str, help: &'static str, number: fn(&Station) -> Number) -> Column {
    Column(Family::gauge(name, help, LABELS), number)
}

const fn counter(name: &'static str, help: &'static str, number: fn(&Station) -> Number) -> Column {
    Column(Family::counter(name, help, LABELS), number)
}

static FAMILIES: [FamilyDoc; COLUMNS.len() + 2] = {
    let mut all = [FREQUENCY.doc(); COLUMNS.len() + 2];
    let mut i = 0;
    while i < COLUMNS.len() {
        all[i + 1] = COLUMNS[i].0.doc();
        i += 1;
    }
    all[i + 1] = INFO.doc();
    all
};

struct Wifi {
    source: Source,
}

enum Source {
    Netlink(Generic),
    Files(Recorded),
}

/// An interface and what it hears.
struct Device {
    interface: Interface,
    network: Option<Network>,
    stations: Vec<Station>,
}

impl Wifi {
    fn new(setting: &Setting) -> Self {
        let source = match setting.flags.text(FIXTURES) {
            "" => Source::Netlink(nl80211::family(Namespace::most_likely(&setting.paths))),
            directory => Source::Files(Recorded::new(directory.into())),
        };
        Wifi { source }
    }
}

impl Source {
    fn interfaces(&mut self) -> Result<Vec<Interface>, CollectError> {
        match self {
            Source::Netlink(family) => {
                nl80211::interfaces(family).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => {
                        CollectError::no_data("the kernel has no wireless interfaces")
                    }
                    _ => CollectError::Other(format!("ask nl80211 for interfaces: {error}")),
                })
            }
            Source::Files(files) => files.interfaces(),
        }
    }

    fn network(&mut self, of: &Interface) -> Result<Option<Network>, CollectError> {
        match self {
            Source::Netlink(family) => {
                unless_gone(nl80211::network(family, of.index), "network", of)
            }
            Source::Files(files) => files.network(of),
        }
    }

    fn stations(&mut self, of: &Interface) -> Result<Vec<Station>, CollectError> {
        match self {
            Source::Netlink(family) => {
                unless_gone(nl80211::stations(family, of.index), "stations", of)
            }
            Source::Files(files) => files.stations(of),
        }
    }
}

/// An interface that has gone, or whose kind hears nobody, has nothing to tell.
fn unless_gone<T: Default>(
    asked: io::Result<T>,
    what: &str,
    interface: &Interface,
) -> Result<T, CollectError> {
    match asked {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EOPNOTSUPP)) => {
            Ok(T::default())
        }
        asked => asked.map_err(|error| {
            CollectError::Other(format!(
                "ask nl80211 for the {what} of {}: {error}",
                interface.name
            ))
        }),
    }
}

impl Collector for Wifi {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut result = Ok(());
        let mut devices = Vec::new();
        let mut names = HashSet::new();
        for interface in self.source.interfaces()? {
            if interface.name.is_empty() || !names.insert(interface.name.clone()) {
                continue;
            }
            let network = self.source.network(&interface);
            let stations = self.source.stations(&interface);
            let device = Device {
                network: or_default(network, &mut result),
                stations: or_default(stations, &mut result),
                interface,
            };
            devices.push(device);
        }
        emit(&devices, sink);
        result
    }
}

/// A failure costs itself; the first is the collector's.
fn or_default<T: Default>(
    found: Result<T, CollectError>,
    result: &mut Result<(), CollectError>,
) -> T {
    found.unwrap_or_else(|error| {
        if result.is_ok() {
            *result = Err(error);
        }
        T::default()
    })
}

fn emit(devices: &[Device], sink: &mut dyn MetricSink) {
    let mut family = FREQUENCY.open(sink);
    for Device { interface, .. } in devices {
        family.emit([&interface.name], interface.frequency.saturating_mul(1_000_000));
    }
    let mut family = INFO.open(sink);
    for Device { interface, network, .. } in devices {
        if let Some(network) = network {
            let bssid = hardware_address(&network.bssid);
            let mode = mode(network.status);
            family.emit([&bssid, &interface.name, mode, &network.ssid], true);
        }
    }
    let stations = stations(devices);
    for Column(family, number) in &COLUMNS {
        let mut family = family.open(sink);
        for (name, address, station) in &stations {
            match number(station) {
                Whole(number) => family.emit([name, address], number),
                Signed(number) => family.emit([name, address], number),
                Seconds(time) => family.emit([name, address], time.as_secs_f64()),
            }
        }
    }
}

/// Each station once, with the names of its interface and of itself.
fn stations(devices: &[Device]) -> Vec<(&str, String, &Station)> {
    let mut met = HashSet::new();
    let mut all = Vec::new();
    for Device { interface, stations, .. } in devices {
        for station in stations {
            let address = hardware_address(&station.address);
            if met.insert((&interface.name, address.clone())) {
                all.push((interface.name.as_str(), address, station));
            }
        }
    }
    all
}

/// The words of node_exporter.
fn mode(status: Status) -> &'static str {
    match status {
        Status::Client => "client",
        Status::AdHoc => "ad-hoc",
        Status::Unknown => "unknown",
    }
}
