//! `arp`: how many IPv4 neighbours each interface has (rtnetlink, or PROC/1/net/arp).
//!
//! A table that fills up is a network that grows, or an attack. Where the host's network namespace cannot be entered, the
//! file of its first process is read. It must not know the neighbours themselves.

use std::collections::BTreeMap;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::filter::Filter;
use crate::netlink::Socket;
use crate::netlink::link::Names;
use crate::netlink::neighbour::neighbours;
use crate::parse::{lines, shown, text, words};
use crate::procnet;

const INCLUDE: &str = "collector.arp.device-include";
const EXCLUDE: &str = "collector.arp.device-exclude";
const NETLINK: &str = "collector.arp.netlink";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("arp", "Size of the ARP table.")
        .reads("rtnetlink RTM_GETNEIGH, PROC/1/net/arp")
        .flags(&[
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of interfaces to export; not with device-exclude.",
            ),
            FlagDef::text(
                EXCLUDE,
                "",
                "Regular expression of interfaces to leave out; not with device-include.",
            ),
            FlagDef::switch(NETLINK, true, "Ask over netlink instead of PROC/net/arp."),
        ])
        .families(&[ENTRIES.doc()]),
    build: |setting| Ok(Box::new(Arp::build(setting)?)),
};

static ENTRIES: Family<1> =
    Family::gauge("node_arp_entries", "Entries of the ARP table by interface.", ["device"]);

struct Arp {
    source: Source,
    filter: Filter,
    /// Entries by interface; one that has no entries any more goes when the table is told.
    entries: BTreeMap<String, u64>,
}

enum Source {
    Netlink { socket: Socket, names: Names },
    File(FileReader),
}

impl Arp {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let (flags, paths) = (&setting.flags, &setting.paths);
        let source = match flags.switch(NETLINK).then(|| Socket::of_the_host(paths)) {
            Some(Some(socket)) => Source::Netlink { socket, names: Names::default() },
            _ => Source::File(FileReader::kept_open(procnet::file(paths, "arp"))),
        };
        let filter = Filter::from_flags(flags, INCLUDE, EXCLUDE)?;
        Ok(Arp { source, filter, entries: BTreeMap::new() })
    }
}

impl Collector for Arp {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.entries.values_mut().for_each(|count| *count = 0);
        let entries = &mut self.entries;
        let result = match &mut self.source {
            Source::Netlink { socket, names } => ask(socket, names, &mut |name| add(entries, name)),
            Source::File(file) => read(file, &mut |name| add(entries, name)),
        };
        self.entries.retain(|_, count| *count > 0);
        let mut family = ENTRIES.open(sink);
        for (name, count) in self.entries.iter().filter(|(name, _)| self.filter.admits(name)) {
            family.emit([name], *count);
        }
        result
    }
}

fn add(entries: &mut BTreeMap<String, u64>, name: &str) {
    match entries.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(entries.insert(name.to_owned(), 1)),
    }
}

/// `NUD_NOARP` of linux/neighbour.h: an address that needs no asking, such as a multicast one. PROC/net/arp leaves
/// those out.
const NO_ARP: u16 = 0x40;

/// Hands the interface of each entry to `take`; an interface that has just gone takes its entries along.
fn ask(
    socket: &mut Socket,
    names: &mut Names,
    take: &mut dyn FnMut(&str),
) -> Result<(), CollectError> {
    let asked = names.update(socket).and_then(|()| {
        neighbours(socket, &mut |neighbour| {
            if neighbour.state & NO_ARP == 0
                && let Some(name) = names.get(neighbour.interface)
            {
                take(name);
            }
        })
    });
    asked.map_err(|error| CollectError::Other(format!("ask rtnetlink for neighbours: {error}")))
}

/// Hands the interface of each entry to `take`; the first line that is not understood is the error.
fn read(file: &mut FileReader, take: &mut dyn FnMut(&str)) -> Result<(), CollectError> {
    let mut error = None;
    let table = file.read().map_err(CollectError::missing_is_no_data)?;
    // A line of headings.
    for (line_number, line) in lines(table).skip(1) {
        // Address, type, flags, hardware address, mask, interface.
        match words(line).nth(5) {
            Some(name) => take(&text(name)),
            None => drop(error.get_or_insert((line_number, shown(line)))),
        }
    }
    match error {
        Some((line, found)) => {
            let what = format!("expected an entry of six columns, found {found}");
            Err(CollectError::parse(file.path(), line, what))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const TABLE: &str = "IP address       HW type     Flags       HW address            Mask     Device\n\
        192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n\
        192.168.1.3      0x1         0x2         dd:cc:dd:aa:aa:ee     *        eth0\n\
        10.0.0.1         0x1         0x0         00:00:00:00:00:00     *        nope\n";

    #[test]
    fn entries_are_counted_by_interface() {
        let host = Host::new(&[("proc/1/net/arp", TABLE), ("proc/net/arp", "x")]);
        let both = "node_arp_entries{device=\"eth0\"} 2\nnode_arp_entries{device=\"nope\"} 1\n";
        assert_eq!(lines(&host, &DEF), both);
        let host = host.flag(EXCLUDE, &["^n"]);
        assert_eq!(lines(&host, &DEF), "node_arp_entries{device=\"eth0\"} 2\n");
    }

    #[test]
    fn an_interface_without_entries_goes() {
        let host = Host::new(&[("proc/net/arp", TABLE)]);
        let mut collector = host.build(&DEF).unwrap();
        assert_eq!(scrape(&mut *collector).0.lines().count(), 2);
        host.write("proc/net/arp", TABLE.replace("nope", "eth0"));
        assert_eq!(scrape(&mut *collector).0, "node_arp_entries{device=\"eth0\"} 3\n");
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/net/arp", &TABLE.replace("*        nope", ""))]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_arp_entries{device=\"eth0\"} 2\n");
        let error = result.unwrap_err().to_string();
        assert!(error.contains("net/arp:4: expected an entry of six columns"), "{error}");
    }

    #[test]
    fn without_a_table_there_is_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
