//! `ipvs`: the kernel's load balancer (PROC/1/net/{ip_vs,ip_vs_stats}).
//!
//! Backends are summed where the labels that are wanted do not tell them apart. It must not know how the kernel
//! chooses one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::{FlagDef, Flags};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{hexadecimal, lines, number, shown, text, words};
use crate::procnet;

/// The totals, in the order of their columns in ip_vs_stats.
static TOTALS: [Family; 5] = [
    Family::counter("node_ipvs_connections_total", "Connections made.", []),
    Family::counter("node_ipvs_incoming_packets_total", "Packets from clients.", []),
    Family::counter("node_ipvs_outgoing_packets_total", "Packets to clients.", []),
    Family::counter("node_ipvs_incoming_bytes_total", "Bytes from clients.", []),
    Family::counter("node_ipvs_outgoing_bytes_total", "Bytes to clients.", []),
];

const LABELS: [&str; 6] =
    ["local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"];

/// What is told of backends, in the order of the columns of ip_vs.
static BACKENDS: [Family<6>; 3] = [
    Family::gauge("node_ipvs_backend_weight", "Weight of each backend.", LABELS),
    Family::gauge("node_ipvs_backend_connections_active", "Active connections.", LABELS),
    Family::gauge("node_ipvs_backend_connections_inactive", "Inactive connections.", LABELS),
];

const LABELS_FLAG: &str = "collector.ipvs.backend-labels";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("ipvs", "Connections and backends of the kernel's load balancer.")
        .needs("the kernel module ip_vs, which the published ports of Docker Swarm load")
        .reads("PROC/1/net/ip_vs, PROC/1/net/ip_vs_stats")
        .flags(&[FlagDef::text(
            LABELS_FLAG,
            "local_address,local_port,remote_address,remote_port,proto,local_mark",
            "Labels of backends, separated by commas; backends alike in all of them are summed.",
        )])
        .families(&[
            TOTALS[0].doc(),
            TOTALS[1].doc(),
            TOTALS[2].doc(),
            TOTALS[3].doc(),
            TOTALS[4].doc(),
            BACKENDS[0].doc(),
            BACKENDS[1].doc(),
            BACKENDS[2].doc(),
        ]),
    build: |setting| Ok(Box::new(Ipvs::build(setting)?)),
};

struct Ipvs {
    stats: FileReader,
    table: FileReader,
    backends: Backends,
}

impl Ipvs {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let file = |name| FileReader::kept_open(procnet::file(&setting.paths, name));
        let wanted = wanted_labels(&setting.flags)?;
        Ok(Ipvs {
            stats: file("ip_vs_stats"),
            table: file("ip_vs"),
            backends: Backends { wanted, sums: BTreeMap::new(), key: String::new() },
        })
    }
}

fn wanted_labels(flags: &Flags) -> Result<[bool; LABELS.len()], BuildError> {
    let mut wanted = [false; LABELS.len()];
    for label in flags.text(LABELS_FLAG).split(',').map(str::trim).filter(|label| !label.is_empty())
    {
        let Some(index) = LABELS.iter().position(|known| *known == label) else {
            let known = LABELS.join(", ");
            return Err(flags
                .error(LABELS_FLAG, format!("no label {label:?}; there are {known}"))
                .into());
        };
        wanted[index] = true;
    }
    Ok(wanted)
}

impl Collector for Ipvs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.stats.read().map_err(CollectError::missing_is_no_data)?;
        let mut result = match parse_stats(file) {
            Ok(totals) => {
                for (family, total) in TOTALS.iter().zip(totals) {
                    family.emit(sink, [], total);
                }
                Ok(())
            }
            Err(what) => Err(CollectError::parse(self.stats.path(), 3, what)),
        };
        let table = self.table.read().map_err(CollectError::missing_is_no_data)?;
        let parsed = self.backends.update(table);
        self.backends.emit(sink);
        let path = self.table.path();
        result = result.and(parsed.map_err(|(line, what)| CollectError::parse(path, line, what)));
        result
    }
}

/// The third line of ip_vs_stats, hexadecimal.
fn parse_stats(file: &[u8]) -> Result<[u64; TOTALS.len()], String> {
    let mut totals = [0; TOTALS.len()];
    let line = lines(file).nth(2).map_or(&b""[..], |(_, line)| line);
    let mut words = words(line);
    for total in &mut totals {
        let word = words.next().unwrap_or_default();
        *total = hexadecimal(word)
            .ok_or_else(|| format!("expected a hexadecimal total, found {}", shown(word)))?;
    }
    Ok(totals)
}

/// The backends by the labels that are wanted.
struct Backends {
    wanted: [bool; LABELS.len()],
    /// Weight, active and inactive connections by the labels' values, which [`SEPARATOR`] separates; `None` for
    /// backends that this scrape has not met.
    sums: BTreeMap<String, Option<[u64; BACKENDS.len()]>>,
    /// The key under work.
    key: String,
}

/// No address, port or mark holds it.
const SEPARATOR: char = '\n';

impl Backends {
    /// Takes every line that is understood; the first that is not is the error.
    fn update(&mut self, table: &[u8]) -> Result<(), (usize, String)> {
        self.sums.values_mut().for_each(|sums| *sums = None);
        let mut result = Ok(());
        let mut service = Service::default();
        for (line_number, line) in lines(table) {
            let parsed = match classify(line) {
                Line::Heading => Ok(()),
                Line::Service(protocol, key) => {
                    let parsed = Service::parse(protocol, key);
                    // Backends of a service that is not understood belong to none.
                    parsed
                        .map(|parsed| service = parsed)
                        .inspect_err(|_| service = Service::default())
                }
                Line::Backend if service.protocol.is_empty() => Ok(()),
                Line::Backend => self.add(&service, line),
            };
            if let Err(what) = parsed {
                result = result.and(Err((line_number, what)));
            }
        }
        self.sums.retain(|_, sums| sums.is_some());
        result
    }

    /// `-> C0A85216:0CEA Tunnel 100 248 2`
    fn add(&mut self, service: &Service<'_>, line: &[u8]) -> Result<(), String> {
        let mut words = words(line).skip(1);
        let (address, port) = parse_address(words.next().unwrap_or_default())?;
        let mut words = words.skip(1);
        let mut values = [0; BACKENDS.len()];
        for value in &mut values {
            let word = words.next().unwrap_or_default();
            *value =
                number(word).ok_or_else(|| format!("expected a number, found {}", shown(word)))?;
        }
        self.set_key(service, address, port);
        match self.sums.get_mut(self.key.as_str()) {
            Some(Some(sums)) => {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = sum.saturating_add(value);
                }
            }
            Some(empty) => *empty = Some(values),
            None => drop(self.sums.insert(self.key.clone(), Some(values))),
        }
        Ok(())
    }

    fn set_key(&mut self, service: &Service<'_>, address: IpAddr, port: u16) {
        self.key.clear();
        let local: &dyn std::fmt::Display = match &service.address {
            Some(local) => local,
            None => &"",
        };
        let values: [&dyn std::fmt::Display; LABELS.len()] =
            [local, &service.port, &address, &port, &service.protocol, &service.mark];
        for (index, (value, wanted)) in values.iter().zip(self.wanted).enumerate() {
            if index > 0 {
                self.key.push(SEPARATOR);
            }
            if wanted {
                // A string takes everything.
                let _ = write!(self.key, "{value}");
            }
        }
    }

    fn emit(&self, sink: &mut dyn MetricSink) {
        if self.sums.is_empty() {
            return;
        }
        for (index, family) in BACKENDS.iter().enumerate() {
            let mut family = family.open(sink);
            for (key, sums) in &self.sums {
                let mut values = key.split(SEPARATOR);
                let labels = std::array::from_fn(|_| values.next().unwrap_or_default());
                family.emit(labels, sums.map_or(0, |sums| sums[index]));
            }
        }
    }
}

enum Line<'a> {
    Heading,
    /// Protocol and what follows it.
    Service(&'a [u8], &'a [u8]),
    Backend,
}

fn classify(line: &[u8]) -> Line<'_> {
    let mut words = words(line);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first {
        b"" | b"IP" | b"Prot" => Line::Heading,
        b"->" if second.starts_with(b"RemoteAddress") => Line::Heading,
        b"->" => Line::Backend,
        protocol => Line::Service(protocol, second),
    }
}

/// What clients connect to.
#[derive(Default)]
struct Service<'a> {
    /// Empty for none.
    protocol: std::borrow::Cow<'a, str>,
    /// `None` for packets that the firewall marked.
    address: Option<IpAddr>,
    port: u16,
    mark: std::borrow::Cow<'a, str>,
}

impl<'a> Service<'a> {
    fn parse(protocol: &'a [u8], key: &'a [u8]) -> Result<Self, String> {
        let service = Service { protocol: text(protocol), ..Service::default() };
        if protocol == b"FWM" {
            return Ok(Service { mark: text(key), ..service });
        }
        let (address, port) = parse_address(key)?;
        Ok(Service { address: Some(address), port, ..service })
    }
}

/// `C0A80016:0CEA` or `[2620:0000:0000:0000:0000:0000:0000:0001]:0050`.
fn parse_address(word: &[u8]) -> Result<(IpAddr, u16), String> {
    let broken = || format!("expected an address and a port, found {}", shown(word));
    let colon = memchr::memrchr(b':', word).ok_or_else(broken)?;
    let (address, port) = (&word[..colon], &word[colon + 1..]);
    let port = hexadecimal(port).and_then(|port| u16::try_from(port).ok()).ok_or_else(broken)?;
    let address = match address.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")) {
        Some(inner) => {
            let inner = std::str::from_utf8(inner).map_err(|_| broken())?;
            let address: Ipv6Addr = inner.parse().map_err(|_| broken())?;
            address.to_canonical()
        }
        None => {
            let bits = hexadecimal(address).and_then(|bits| u32::try_from(bits).ok());
            IpAddr::V4(Ipv4Addr::from_bits(bits.ok_or_else(broken)?))
        }
    };
    Ok((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const STATS: &str = "   Total Incoming Outgoing         Incoming         Outgoing\n\
        \x20  Conns  Packets  Packets            Bytes            Bytes\n\
        \x20 16AA370 E33656E5        0     51D8C8883AB3        0\n\n";
    const TABLE: &str = "IP Virtual Server version 1.2.1 (size=4096)\n\
        Prot LocalAddress:Port Scheduler Flags\n\
        \x20 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
        TCP  C0A80016:0CEA wlc\n\
        \x20 -> C0A85216:0CEA      Tunnel  100    248        2\n\
        \x20 -> C0A85318:0CEA      Tunnel  100    248        1\n\
        SCTP [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh\n\
        \x20 -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050 Route   1      4          0\n\
        FWM  10001000 wlc\n\
        \x20 -> C0A83215:0CEA      Route   20     64         1\n";

    fn host(table: &str) -> Host {
        Host::new(&[("proc/1/net/ip_vs_stats", STATS), ("proc/1/net/ip_vs", table)])
    }

    #[test]
    fn totals_are_hexadecimal() {
        let text = lines(&host(""), &DEF);
        assert_eq!(
            text,
            "node_ipvs_connections_total 23765872\nnode_ipvs_incoming_packets_total 3811989221\n\
             node_ipvs_outgoing_packets_total 0\nnode_ipvs_incoming_bytes_total 89991519156915\n\
             node_ipvs_outgoing_bytes_total 0\n"
        );
    }

    #[test]
    fn services_have_an_address_or_a_mark() {
        let text = lines(&host(TABLE), &DEF);
        for line in [
            "connections_active{local_address=\"192.168.0.22\",local_port=\"3306\",\
             remote_address=\"192.168.82.22\",remote_port=\"3306\",proto=\"TCP\"} 248\n",
            "weight{local_address=\"2620::1\",local_port=\"80\",remote_address=\"2620::2\",\
             remote_port=\"80\",proto=\"SCTP\"} 1\n",
            "connections_inactive{local_port=\"0\",remote_address=\"192.168.50.21\",\
             remote_port=\"3306\",proto=\"FWM\",local_mark=\"10001000\"} 1\n",
        ] {
            assert!(text.contains(&format!("node_ipvs_backend_{line}")), "{line}{text}");
        }
    }

    #[test]
    fn backends_without_distinction_are_summed() {
        let host = host(TABLE).flag(LABELS_FLAG, &["proto, local_port"]);
        let text = lines(&host, &DEF);
        assert!(text.contains("weight{local_port=\"3306\",proto=\"TCP\"} 200\n"), "{text}");
        assert!(text.contains("inactive{local_port=\"3306\",proto=\"TCP\"} 3\n"), "{text}");
        let all = lines(&host.flag(LABELS_FLAG, &[""]), &DEF);
        assert!(all.contains("node_ipvs_backend_connections_active 564\n"), "{all}");
    }

    #[test]
    fn an_unknown_label_is_refused() {
        let error = host("").flag(LABELS_FLAG, &["proto,port"]).build(&DEF).err().unwrap();
        assert!(error.starts_with(
            "--collector.ipvs.backend-labels: no label \"port\"; there are local_address,"
        ));
    }

    #[test]
    fn backends_come_and_go() {
        let host = host(TABLE);
        let mut collector = host.build(&DEF).unwrap();
        assert_eq!(scrape(&mut *collector).0.matches("_weight{").count(), 4);
        host.write("proc/1/net/ip_vs", TABLE.split_inclusive('\n').take(5).collect::<String>());
        let (text, _) = scrape(&mut *collector);
        assert_eq!(text.matches("_weight{").count(), 1, "{text}");
        assert!(text.contains("} 248\n"), "sums begin anew: {text}");
    }

    #[test]
    fn bad_lines_cost_themselves_and_what_belongs_to_them() {
        let host = host(&TABLE.replace("C0A85318:0CEA", "C0A85318").replace("[2620", "[zz"));
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text.matches("_weight{").count(), 2, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(
            error.ends_with("ip_vs:6: expected an address and a port, found \"C0A85318\""),
            "{error}"
        );
    }

    #[test]
    fn a_kernel_without_it_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
