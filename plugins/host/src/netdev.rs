//! `netdev`: what each network interface sent and received (rtnetlink, or PROC/1/net/dev).
//!
//! With the host's own procfs the kernel is asked over netlink, as node_exporter does; with one
//! mounted elsewhere only the file shows the host's network namespace. It must not know an
//! interface's settings: those are the collector `netclass`.

use std::net::IpAddr;
use std::path::PathBuf;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Paths, Scrape,
    Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::filter::Filter;
use crate::parse::{lines, number, shown, text, words};
use crate::procnet;
use crate::rtnetlink::{Counters, Socket};

mod family;

use family::{Figure, Source};

const INCLUDE: &str = "collector.netdev.device-include";
const EXCLUDE: &str = "collector.netdev.device-exclude";
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
                "",
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

struct NetDev {
    source: Reader,
    figures: &'static [Figure],
    filter: Filter,
    addresses: bool,
    /// Where the aliases of interfaces are, when they are wanted.
    aliases: Option<PathBuf>,
    devices: Vec<Device>,
}

enum Reader {
    Netlink(Socket),
    File(FileReader),
}

/// An interface that was met before: the filter is asked once.
struct Device {
    name: String,
    alias: String,
    admitted: bool,
    counters: Counters,
}

impl NetDev {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let (flags, paths) = (&setting.flags, &setting.paths);
        let detailed = flags.switch(DETAILED);
        let (source, kind) = if flags.switch(NETLINK) && own_namespace_is_the_hosts(paths) {
            (Reader::Netlink(Socket::new()), Source::Netlink)
        } else {
            (Reader::File(FileReader::kept_open(procnet::file(paths, "dev"))), Source::File)
        };
        Ok(NetDev {
            source,
            figures: family::figures(kind, detailed),
            filter: Filter::from_flags(flags, INCLUDE, EXCLUDE)?,
            addresses: flags.switch(ADDRESSES),
            aliases: flags.switch(ALIAS).then(|| paths.sys("class/net")),
            devices: Vec::new(),
        })
    }

    /// Takes the current counters; the first line that is not understood is the error.
    fn update(&mut self) -> Result<(), CollectError> {
        let mut known = Known { devices: &mut self.devices, filter: &self.filter, taken: 0 };
        let result = match &mut self.source {
            Reader::Netlink(socket) => socket
                .dump(&mut |link| known.take(link.name, link.counters))
                .map_err(|error| CollectError::Other(format!("ask rtnetlink for links: {error}"))),
            Reader::File(file) => {
                let result = parse(file.read()?, &mut |name, counters| known.take(name, counters));
                result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
            }
        };
        let taken = known.taken;
        self.devices.truncate(taken);
        result
    }
}

impl Collector for NetDev {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let result = self.update();
        for device in self.devices.iter_mut().filter(|device| device.admitted) {
            if let Some(aliases) = &self.aliases {
                let alias = std::fs::read(aliases.join(&device.name).join("ifalias"));
                device.alias = text(alias.unwrap_or_default().trim_ascii()).into_owned();
            }
        }
        for figure in self.figures {
            let mut family = figure.family.open(sink);
            for device in self.devices.iter().filter(|device| device.admitted) {
                family.emit([&device.name, &device.alias], figure.value(&device.counters));
            }
        }
        if self.addresses {
            emit_addresses(sink)?;
        }
        result
    }
}

/// The devices of the last scrape while those of this one are met.
struct Known<'a> {
    devices: &'a mut Vec<Device>,
    filter: &'a Filter,
    taken: usize,
}

impl Known<'_> {
    fn take(&mut self, name: &[u8], counters: Counters) {
        let is_it = |device: &Device| device.name.as_bytes() == name;
        if !self.devices.get(self.taken).is_some_and(is_it) {
            self.devices.truncate(self.taken);
            // A dump that was disturbed may tell an interface twice.
            if self.devices.iter().any(is_it) {
                return;
            }
            let name = text(name).into_owned();
            let admitted = self.filter.admits(&name);
            self.devices.push(Device { name, alias: String::new(), admitted, counters });
        }
        if let Some(device) = self.devices.get_mut(self.taken) {
            device.counters = counters;
        }
        self.taken += 1;
    }
}

/// Whether netlink, which shows the network namespace of this process, shows the host's.
fn own_namespace_is_the_hosts(paths: &Paths) -> bool {
    let namespace = |process: &str| std::fs::read_link(paths.proc(process).join("ns/net")).ok();
    let is_other = match (namespace("1"), namespace("self")) {
        (Some(init), Some(own)) => init != own,
        _ => false,
    };
    paths.procfs == std::path::Path::new("/proc") && !is_other
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

fn emit_addresses(sink: &mut dyn MetricSink) -> Result<(), CollectError> {
    let addresses = nix::ifaddrs::getifaddrs()
        .map_err(|errno| CollectError::Other(format!("getifaddrs: {}", errno.desc())))?;
    let mut family = ADDRESS.open(sink);
    for entry in addresses {
        let Some(address) = entry.address.as_ref().and_then(ip) else { continue };
        let prefix = entry.netmask.as_ref().and_then(ip).map_or(0, ones).to_string();
        let shown = address.to_string();
        family.emit([&shown, &entry.interface_name, &prefix, scope(address)], true);
    }
    Ok(())
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn ones(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
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
