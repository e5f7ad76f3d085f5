//! `netstat`: the protocols' own statistics (PROC/1/net/{netstat,snmp,snmp6}).
//!
//! Which of the several hundred fields are exported is the matter of one regular expression, asked once for each
//! field and not on each scrape. It must not know what a field means: newer kernels have more.

use regex::Regex;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{FamilyDoc, Kind, MetricSink};

use crate::named::{Named, Names, push_word, whole};
use crate::parse::{lines, shown, text, words};
use crate::procnet;

const FIELDS: &str = "collector.netstat.fields";
const DEFAULT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)\
    |Icmp6?_(InMsgs|OutMsgs)\
    |TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)\
    |Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)\
    |Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("netstat", "Statistics of IP, ICMP, TCP and UDP.")
        .reads("PROC/1/net/netstat, PROC/1/net/snmp, PROC/1/net/snmp6")
        .flags(&[FlagDef::text(
            FIELDS,
            DEFAULT_FIELDS,
            "Regular expression of fields to export, such as Tcp_InSegs.",
        )])
        .families(DEFAULTS),
    build: |setting| Ok(Box::new(NetStat::build(setting)?)),
};

const fn field(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Untyped, labels: &[] }
}

/// What the default expression selects on the kernels of today.
static DEFAULTS: &[FamilyDoc] = &[
    field("node_netstat_Icmp6_InErrors", "Bad ICMPv6 messages received."),
    field("node_netstat_Icmp6_InMsgs", "ICMPv6 messages received."),
    field("node_netstat_Icmp6_OutMsgs", "ICMPv6 messages sent."),
    field("node_netstat_Icmp_InErrors", "Bad ICMP messages received."),
    field("node_netstat_Icmp_InMsgs", "ICMP messages received."),
    field("node_netstat_Icmp_OutMsgs", "ICMP messages sent."),
    field("node_netstat_Ip6_InOctets", "Bytes received over IPv6."),
    field("node_netstat_Ip6_OutOctets", "Bytes sent over IPv6."),
    field("node_netstat_IpExt_InOctets", "Bytes received over IPv4."),
    field("node_netstat_IpExt_OutOctets", "Bytes sent over IPv4."),
    field("node_netstat_Ip_Forwarding", "Whether IPv4 is forwarded: 1 for yes, 2 for no."),
    field("node_netstat_TcpExt_ListenDrops", "Connections dropped by listening sockets."),
    field("node_netstat_TcpExt_ListenOverflows", "Times the queue of a listener was full."),
    field("node_netstat_TcpExt_SyncookiesFailed", "Bad SYN cookies received."),
    field("node_netstat_TcpExt_SyncookiesRecv", "SYN cookies received."),
    field("node_netstat_TcpExt_SyncookiesSent", "SYN cookies sent."),
    field("node_netstat_TcpExt_TCPOFOQueue", "Packets queued because they came out of order."),
    field("node_netstat_TcpExt_TCPRcvQDrop", "Packets dropped because a receive queue was full."),
    field("node_netstat_TcpExt_TCPSynRetrans", "SYN packets sent again."),
    field("node_netstat_TcpExt_TCPTimeouts", "TCP timeouts."),
    field("node_netstat_Tcp_ActiveOpens", "Connections opened from here."),
    field("node_netstat_Tcp_CurrEstab", "Connections established now."),
    field("node_netstat_Tcp_InErrs", "Bad TCP segments received."),
    field("node_netstat_Tcp_InSegs", "TCP segments received."),
    field("node_netstat_Tcp_OutRsts", "TCP resets sent."),
    field("node_netstat_Tcp_OutSegs", "TCP segments sent, not counting those sent again."),
    field("node_netstat_Tcp_PassiveOpens", "Connections opened from elsewhere."),
    field("node_netstat_Tcp_RetransSegs", "TCP segments sent again."),
    field("node_netstat_Udp6_InDatagrams", "UDP datagrams delivered over IPv6."),
    field("node_netstat_Udp6_InErrors", "UDP datagrams over IPv6 that were not delivered."),
    field("node_netstat_Udp6_NoPorts", "UDP datagrams over IPv6 to a port without a socket."),
    field("node_netstat_Udp6_OutDatagrams", "UDP datagrams sent over IPv6."),
    field("node_netstat_Udp6_RcvbufErrors", "UDP over IPv6: full receive buffers."),
    field("node_netstat_Udp6_SndbufErrors", "UDP over IPv6: full send buffers."),
    field("node_netstat_UdpLite6_InErrors", "UDP-Lite datagrams over IPv6 not delivered."),
    field("node_netstat_UdpLite_InErrors", "UDP-Lite datagrams not delivered."),
    field("node_netstat_Udp_InDatagrams", "UDP datagrams delivered."),
    field("node_netstat_Udp_InErrors", "UDP datagrams that were not delivered."),
    field("node_netstat_Udp_NoPorts", "UDP datagrams to a port without a socket."),
    field("node_netstat_Udp_OutDatagrams", "UDP datagrams sent."),
    field("node_netstat_Udp_RcvbufErrors", "UDP: full receive buffers."),
    field("node_netstat_Udp_SndbufErrors", "UDP: full send buffers."),
];

struct NetStat {
    netstat: FileReader,
    snmp: FileReader,
    snmp6: FileReader,
    fields: Fields,
}

/// The fields that are exported.
struct Fields {
    /// `None` selects everything.
    pattern: Option<Regex>,
    names: Names,
}

impl NetStat {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let file = |name| FileReader::kept_open(procnet::file(&setting.paths, name));
        let pattern = setting.flags.regex(FIELDS)?;
        Ok(NetStat {
            netstat: file("netstat"),
            snmp: file("snmp"),
            snmp6: file("snmp6"),
            fields: Fields { pattern, names: Names::new(Kind::Untyped) },
        })
    }
}

impl Collector for NetStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let fields = &mut self.fields;
        fields.names.rewind();
        let netstat = emit_file(&mut self.netstat, |file| emit_pairs(file, fields, sink));
        let snmp = emit_file(&mut self.snmp, |file| emit_pairs(file, fields, sink));
        let snmp6 = emit_file(&mut self.snmp6, |file| emit_rows(file, fields, sink));
        // The answers are kept; the 150 KB in which a regex builds its states for so many words are not.
        fields.pattern = fields.pattern.clone();
        // Without IPv6 there is no such file.
        let snmp6 = match snmp6.map_err(CollectError::missing_is_no_data) {
            Err(CollectError::NoData(_)) => Ok(()),
            other => other,
        };
        netstat.and(snmp).and(snmp6)
    }
}

/// The first line of a file that is not understood, with what was expected.
type Emitted = Result<(), (usize, String)>;

fn emit_file(
    file: &mut FileReader,
    emit: impl FnOnce(&[u8]) -> Emitted,
) -> Result<(), CollectError> {
    let result = emit(file.read()?);
    result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
}

/// `Tcp: InSegs OutSegs`, and then a line `Tcp: 1 2`.
fn emit_pairs(file: &[u8], fields: &mut Fields, sink: &mut dyn MetricSink) -> Emitted {
    let mut result = Ok(());
    let mut lines = lines(file);
    while let Some((_, names)) = lines.next() {
        let Some((line, values)) = lines.next() else { break };
        if let Err(what) = emit_pair(names, values, fields, sink) {
            result = result.and(Err((line, what)));
        }
    }
    result
}

fn emit_pair(
    names: &[u8],
    values: &[u8],
    fields: &mut Fields,
    sink: &mut dyn MetricSink,
) -> Result<(), String> {
    let protocol = words(names).next().unwrap_or_default();
    let mut values = words(values);
    if protocol.last() != Some(&b':') || values.next() != Some(protocol) {
        return Err(format!("expected the values of {}", shown(protocol)));
    }
    let mut result = Ok(());
    let mut passed = 0;
    for family in fields.of_header(names) {
        let word = values.nth(family.column - passed).unwrap_or_default();
        passed = family.column + 1;
        match whole(word) {
            Some(value) => family.emit(sink, value),
            None => result = result.and(Err(format!("expected a count, found {}", shown(word)))),
        }
    }
    result
}

/// `Udp6InDatagrams 7`: the protocol ends with the first 6.
fn emit_rows(file: &[u8], fields: &mut Fields, sink: &mut dyn MetricSink) -> Emitted {
    let mut result = Ok(());
    for (line_number, line) in lines(file) {
        let mut words = words(line);
        let (Some(name), Some(word)) = (words.next(), words.next()) else { continue };
        for family in fields.of_row(name) {
            match whole(word) {
                Some(value) => family.emit(sink, value),
                None => {
                    let what = format!("expected a count, found {}", shown(word));
                    result = result.and(Err((line_number, what)));
                }
            }
        }
    }
    result
}

impl Fields {
    fn of_header(&mut self, header: &[u8]) -> &[Named] {
        let pattern = self.pattern.as_ref();
        self.names.next([header, b""], || {
            let mut words = words(header);
            let protocol = words.next().unwrap_or_default();
            let protocol = protocol.strip_suffix(b":").unwrap_or(protocol);
            let described = words.enumerate().filter_map(|(column, field)| {
                let (name, help) = describe(protocol, field, pattern)?;
                Some((column, name, help))
            });
            described.collect::<Vec<_>>()
        })
    }

    fn of_row(&mut self, key: &[u8]) -> &[Named] {
        let pattern = self.pattern.as_ref();
        self.names.next([key, b""], || {
            let six = memchr::memchr(b'6', key)?;
            let (protocol, field) = key.split_at(six + 1);
            let (name, help) = describe(protocol, field, pattern)?;
            Some((0, name, help))
        })
    }
}

/// Name and help of a field, where it is selected.
fn describe(protocol: &[u8], field: &[u8], pattern: Option<&Regex>) -> Option<(String, String)> {
    let key = format!("{}_{}", text(protocol), text(field));
    if !pattern.is_none_or(|pattern| pattern.is_match(&key)) {
        return None;
    }
    let mut name = String::from("node_netstat_");
    push_word(&mut name, key.as_bytes());
    let known = DEFAULTS.iter().find(|doc| doc.name == name);
    let help = match known {
        Some(doc) => doc.help.to_owned(),
        None => format!("Field {} of protocol {}.", text(field), text(protocol)),
    };
    Some((name, help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const NETSTAT: &str = "TcpExt: SyncookiesSent TW ListenNew\nTcpExt: 3 4 5\n\
        IpExt: InNoRoutes InOctets OutOctets\nIpExt: 1 18446744073709551615 7\n";
    const SNMP: &str = "Ip: Forwarding DefaultTTL\nIp: 2 64\n\
        Tcp: MaxConn CurrEstab InErrs\nTcp: -1 11 5\n";
    const SNMP6: &str = "Ip6InOctets   \t460\nUdpLite6InErrors\t9\nIcmp6InType134\t1\nOdd 3\n";

    fn host() -> Host {
        Host::new(&[
            ("proc/1/net/netstat", NETSTAT),
            ("proc/1/net/snmp", SNMP),
            ("proc/1/net/snmp6", SNMP6),
        ])
    }

    #[test]
    fn the_default_fields_are_those_of_node_exporter() {
        assert_eq!(
            lines(&host(), &DEF),
            "node_netstat_TcpExt_SyncookiesSent 3\nnode_netstat_TcpExt_ListenNew 5\n\
             node_netstat_IpExt_InOctets 18446744073709551615\nnode_netstat_IpExt_OutOctets 7\n\
             node_netstat_Ip_Forwarding 2\nnode_netstat_Tcp_CurrEstab 11\n\
             node_netstat_Tcp_InErrs 5\nnode_netstat_Ip6_InOctets 460\n\
             node_netstat_UdpLite6_InErrors 9\n"
        );
    }

    #[test]
    fn fields_are_chosen_by_an_unanchored_expression() {
        let text = lines(&host().flag(FIELDS, &["Max|Type"]), &DEF);
        assert_eq!(text, "node_netstat_Tcp_MaxConn -1\nnode_netstat_Icmp6_InType134 1\n");
        let text = lines(&host().flag(FIELDS, &[""]), &DEF);
        assert_eq!(text.lines().count(), 14, "an empty one selects everything: {text}");
    }

    #[test]
    fn every_declared_family_is_selected_by_the_default() {
        let pattern = Regex::new(DEFAULT_FIELDS).unwrap();
        for doc in DEFAULTS {
            assert!(
                pattern.is_match(doc.name.strip_prefix("node_netstat_").unwrap()),
                "{}",
                doc.name
            );
        }
    }

    #[test]
    fn a_kernel_without_ipv6_is_no_failure() {
        let host = Host::new(&[("proc/net/netstat", NETSTAT), ("proc/net/snmp", SNMP)]);
        assert_eq!(lines(&host, &DEF).lines().count(), 7);
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let host = host();
        host.write("proc/1/net/snmp", "Ip: Forwarding\nTcp: 1\nTcp: CurrEstab InErrs\nTcp: x 5\n");
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("Tcp_InErrs 5\n") && text.contains("Ip6_InOctets"), "{text}");
        assert!(!text.contains("Forwarding"));
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("net/snmp:2: expected the values of \"Ip:\""), "{error}");
    }

    #[test]
    fn fields_follow_the_files_and_are_given_once() {
        let host = host();
        let mut collector = host.build(&DEF).unwrap();
        scrape(&mut *collector).1.unwrap();
        host.write("proc/1/net/snmp", "Tcp: InErrs InErrs\nTcp: 5 6\nTcp: InErrs\nTcp: 7\n");
        let (text, result) = scrape(&mut *collector);
        result.unwrap();
        assert!(
            text.contains("OutOctets 7\nnode_netstat_Tcp_InErrs 5\nnode_netstat_Ip6_"),
            "{text}"
        );
        assert_eq!(text.matches("Tcp_InErrs").count(), 1);
    }
}
