//! `netdev`: what each network interface sent and received (rtnetlink, or PROC/1/net/dev).
//!
//! The kernel is asked over netlink in the host's network namespace; where that cannot be entered,
//! the file of the host's first process is read. It must not know an interface's settings: those
//! are the collector `netclass`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Paths, Scrape,
    Setting,
};
use vigie_core::config::{FlagDef, Flags};
use vigie_core::metric::{Family, MetricSink};

use crate::filter::Filter;
use crate::known::Known;
use crate::namespace::Namespace;
use crate::netlink::Socket;
use crate::netlink::address::addresses;
use crate::netlink::link::{Counters, Names, links};
use crate::parse::{lines, number, shown, text, words};
use crate::procnet;

pub(crate) mod family;

use family::{Figure, Source};

const INCLUDE: &str = "collector.netdev.device-include";
const EXCLUDE: &str = "collector.netdev.device-exclude";
/// The host's ends of the cables into containers: several new series for each container that starts.
const DEFAULT_EXCLUDE: &str = "^veth";
const ADDRESSES: &str = "collector.netdev.address-info";
const DETAILED: &str = "collector.netdev.enable-detailed-metrics";
const NETLINK: &str = "collector.netdev.netlink";
const ALIAS: &str = "collector.netdev.label-ifalias";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("netdev", "Traffic and errors of network interfaces.")
        .reads("rtnetlink RTM_GETLINK, PROC/1/net/dev, SYS/class/net/*/ifalias")
        .flags(&[
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of interfaces to export; not with device-exclude.",
            )
            .aliases(&["collector.netdev.device-whitelist"]),
            FlagDef::text(
                EXCLUDE,
                DEFAULT_EXCLUDE,
                "Regular expression of interfaces to leave out; not with device-include.",
            )
            .aliases(&["collector.netdev.device-blacklist"]),
            FlagDef::switch(ADDRESSES, false, "Export node_network_address_info."),
            FlagDef::switch(DETAILED, false, "Export the kernel's counters one by one."),
            FlagDef::switch(NETLINK, true, "Ask over netlink instead of PROC/net/dev."),
            FlagDef::switch(ALIAS, false, "Add the label ifalias."),
        ])
        .families(&family::ALL),
    build: |setting| Ok(Box::new(NetDev::build(setting)?)),
};

/// Which interfaces are shown: by `netdev`, and by `netclass` unless that has a filter of its own.
///
/// # Errors
/// When the flags hold no regular expression, or both are given.
pub(crate) fn filter(flags: &Flags) -> Result<Filter, BuildError> {
    Filter::from_flags(flags, INCLUDE, EXCLUDE)
}

struct NetDev {
    source: Reader,
    figures: &'static [Figure],
    filter: Filter,
    addresses: Option<Addresses>,
    /// Where the aliases of interfaces are, when they are wanted.
    aliases: Option<PathBuf>,
    devices: Known<Device>,
}

enum Reader {
    Netlink(Socket),
    File(FileReader),
}

/// What is kept of an interface: the filter is asked once.
struct Device {
    alias: String,
    admitted: bool,
    counters: Counters,
}

impl NetDev {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let (flags, paths) = (&setting.flags, &setting.paths);
        let (source, kind) = match flags.switch(NETLINK).then(|| Socket::of_the_host(paths)) {
            Some(Some(socket)) => (Reader::Netlink(socket), Source::Netlink),
            _ => (Reader::File(FileReader::kept_open(procnet::file(paths, "dev"))), Source::File),
        };
        Ok(NetDev {
            source,
            figures: family::figures(kind, flags.switch(DETAILED)),
            filter: filter(flags)?,
            addresses: flags.switch(ADDRESSES).then(|| Addresses::new(paths)),
            aliases: flags.switch(ALIAS).then(|| paths.sys("class/net")),
            devices: Known::new(),
        })
    }

    /// Takes the current counters; the first line that is not understood is the error.
    fn update(&mut self) -> Result<(), CollectError> {
        let NetDev { devices, filter, .. } = self;
        devices.begin();
        let mut take = |name: &[u8], counters: Counters| {
            let new = |name: &str| Device {
                alias: String::new(),
                admitted: filter.admits(name),
                counters,
            };
            if let Some(device) = devices.meet(name, new) {
                device.counters = counters;
            }
        };
        let result = match &mut self.source {
            Reader::Netlink(socket) => {
                let mut with_counters = |name: &[u8], counters: Option<Counters>| {
                    counters.into_iter().for_each(|counters| take(name, counters));
                };
                links(socket, &mut |link| with_counters(link.name, link.counters)).map_err(
                    |error| CollectError::Other(format!("ask rtnetlink for links: {error}")),
                )
            }
            Reader::File(file) => {
                let result = file.read().map(|text| parse(text, &mut take));
                result.and_then(|result| {
                    result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
                })
            }
        };
        devices.end();
        result
    }
}

impl Collector for NetDev {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let result = self.update();
        if let Some(aliases) = &self.aliases {
            for (name, device) in self.devices.iter_mut().filter(|(_, device)| device.admitted) {
                let alias = std::fs::read(aliases.join(name).join("ifalias"));
                device.alias = text(alias.unwrap_or_default().trim_ascii()).into_owned();
            }
        }
        for figure in self.figures {
            let mut family = figure.family.open(sink);
            for (name, device) in self.devices.iter().filter(|(_, device)| device.admitted) {
                family.emit([name, &device.alias], figure.value(&device.counters));
            }
        }
        if let Some(addresses) = &mut self.addresses {
            addresses.emit(sink)?;
        }
        result
    }
}

/// Columns of PROC/net/dev.
const COLUMNS: usize = 16;

/// Hands every interface that is understood to `take`; the first line that is not is the error.
fn parse(file: &[u8], take: &mut dyn FnMut(&[u8], Counters)) -> Result<(), (usize, String)> {
    let mut result = Ok(());
    // Two lines of headings.
    for (line_number, line) in lines(file).skip(2) {
        match parse_line(line) {
            Ok((name, counters)) => take(name, counters),
            Err(what) => result = result.and(Err((line_number, what))),
        }
    }
    result
}

/// The name may hold colons (`eth0:1`), so the last one ends it.
fn parse_line(line: &[u8]) -> Result<(&[u8], Counters), String> {
    let broken = || format!("expected an interface and {COLUMNS} counters, found {}", shown(line));
    let colon = memchr::memrchr(b':', line).ok_or_else(broken)?;
    let mut counters = Counters::default();
    let mut columns = words(&line[colon + 1..]);
    for counter in &mut counters[..COLUMNS] {
        *counter = columns.next().and_then(number).ok_or_else(broken)?;
    }
    let name = line[..colon].trim_ascii();
    if name.is_empty() { Err(broken()) } else { Ok((name, counters)) }
}

static ADDRESS: Family<4> = Family::gauge(
    "node_network_address_info",
    "Addresses of each interface; always 1.",
    ["address", "device", "netmask", "scope"],
);

/// Asks for addresses; interfaces that are left out elsewhere have theirs shown, as node_exporter does.
struct Addresses {
    socket: Socket,
    names: Names,
}

impl Addresses {
    fn new(paths: &Paths) -> Self {
        let socket = Socket::route(Namespace::most_likely(paths));
        Addresses { socket, names: Names::default() }
    }

    fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let Addresses { socket, names } = self;
        let mut family = ADDRESS.open(sink);
        // An interface may have one address for several other ends.
        let mut shown = HashSet::new();
        let asked = names.update(socket).and_then(|()| {
            addresses(socket, &mut |address| {
                let Some(name) = names.get(address.interface) else { return };
                if shown.insert(*address) {
                    let (prefix, scope) = (address.prefix.to_string(), scope(address.address));
                    family.emit([&address.address.to_string(), name, &prefix, scope], true);
                }
            })
        });
        asked.map_err(|error| CollectError::Other(format!("ask rtnetlink for addresses: {error}")))
    }
}

/// The words node_exporter has for the reach of an address.
fn scope(address: IpAddr) -> &'static str {
    let (link_local, interface_local) = match address {
        IpAddr::V4(v4) => (v4.is_link_local() || v4.octets()[..3] == [224, 0, 0], false),
        IpAddr::V6(v6) => {
            let multicast_scope = v6.is_multicast().then(|| v6.segments()[0] & 0xf);
            (v6.is_unicast_link_local() || multicast_scope == Some(2), multicast_scope == Some(1))
        }
    };
    let broadcast = address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    if address.is_loopback() || link_local {
        "link-local"
    } else if interface_local {
        "interface-local"
    } else if address.is_unspecified() || address.is_multicast() || broadcast {
        ""
    } else {
        "global"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;

    const DEV: &str = "Inter-|   Receive    |  Transmit\n face |bytes   packets errs |bytes\n\
        \x20 lo: 11 12 0 0 0 0 0 0 11 12 0 0 0 0 0 0\n\
        \x20eth0:1000000000000 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";

    #[test]
    fn the_file_of_the_first_process_is_read() {
        let host = Host::new(&[("proc/1/net/dev", DEV), ("proc/net/dev", "x")]);
        let text = lines(&host, &DEF);
        for (name, value) in [
            ("receive_bytes", 1_000_000_000_000u64),
            ("receive_packets", 2),
            ("receive_errs", 3),
            ("receive_drop", 4),
            ("receive_fifo", 5),
            ("receive_frame", 6),
            ("receive_compressed", 7),
            ("receive_multicast", 8),
            ("transmit_bytes", 9),
            ("transmit_drop", 12),
            ("transmit_colls", 14),
            ("transmit_carrier", 15),
            ("transmit_compressed", 16),
        ] {
            let line = format!("node_network_{name}_total{{device=\"eth0\"}} {value}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert_eq!(text.lines().count(), 2 * COLUMNS);
    }

    #[test]
    fn filters_and_aliases_apply() {
        let host = Host::new(&[("proc/net/dev", DEV), ("sys/class/net/eth0/ifalias", "up link\n")])
            .flag(EXCLUDE, &["^lo$"])
            .flag(ALIAS, &["true"]);
        let text = lines(&host, &DEF);
        assert!(
            text.contains(
                "receive_bytes_total{device=\"eth0\",ifalias=\"up link\"} 1000000000000\n"
            )
        );
        assert!(!text.contains("\"lo\""));
    }

    #[test]
    fn detailed_names_are_those_of_the_file() {
        let host = Host::new(&[("proc/net/dev", DEV)]).flag(DETAILED, &["true"]);
        let text = lines(&host, &DEF);
        assert!(text.contains("node_network_receive_errors_total{device=\"eth0\"} 3\n"), "{text}");
        assert!(
            text.contains("node_network_transmit_dropped_total{device=\"eth0\"} 12\n"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/net/dev", &DEV.replace("lo: 11", "lo: x"))]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text.lines().count(), COLUMNS);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("net/dev:3: expected an interface and 16 counters"), "{error}");
    }

    #[test]
    fn a_name_may_hold_a_colon() {
        let line = format!("a:1: {}", "7 ".repeat(16));
        assert_eq!(parse_line(line.as_bytes()).unwrap().0, b"a:1");
        assert!(parse_line(format!(": {}", "7 ".repeat(16)).as_bytes()).is_err());
    }

    #[test]
    fn addresses_have_a_reach() {
        for (address, reach) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("10.0.0.1", "global"),
            ("224.0.0.7", "link-local"),
            ("239.1.1.1", ""),
            ("0.0.0.0", ""),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("2001:db8::1", "global"),
        ] {
            assert_eq!(scope(address.parse().unwrap()), reach, "{address}");
        }
        let host = Host::new(&[("proc/net/dev", DEV)]).flag(ADDRESSES, &["true"]);
        let text = lines(&host, &DEF);
        let own = "node_network_address_info{address=\"127.0.0.1\",device=\"lo\",netmask=\"8\",scope=\"link-local\"} 1\n";
        assert!(text.contains(own), "{text}");
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            survives(&DEF, "proc/1/net/dev", &bytes);
        }

        #[test]
        fn any_numbers_are_survived(rows in "(eth[0-9]:( [0-9]{1,21}){15,17}\n){0,4}") {
            survives(&DEF, "proc/net/dev", format!("a\nb\n{rows}").as_bytes());
        }
    }
}
