//! `sockstat`: sockets in use by protocol (PROC/1/net/{sockstat,sockstat6}).
//!
//! Protocols and figures of newer kernels come out under the names the kernel gives them. It must not know single
//! sockets.

use nix::unistd::{SysconfVar, sysconf};
use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{FamilyDoc, Kind, MetricSink, Value};

use crate::named::{Names, push_word, whole};
use crate::parse::{lines, shown, text, words};
use crate::procnet;

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("sockstat", "Sockets by protocol, and their memory.")
        .reads("PROC/1/net/sockstat, PROC/1/net/sockstat6")
        .families(FIELDS),
    build: |setting| {
        let file = |name| FileReader::kept_open(procnet::file(&setting.paths, name));
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        Ok(Box::new(SockStat {
            files: [file("sockstat"), file("sockstat6")],
            names: Names::new(Kind::Gauge),
            page_bytes: page.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096),
        }))
    },
};

const fn field(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Gauge, labels: &[] }
}

/// What the kernels of today print.
static FIELDS: &[FamilyDoc] = &[
    field("node_sockstat_FRAG6_inuse", "Queues of IPv6 fragments."),
    field("node_sockstat_FRAG6_memory", "Bytes of IPv6 fragments."),
    field("node_sockstat_FRAG_inuse", "Queues of IPv4 fragments."),
    field("node_sockstat_FRAG_memory", "Bytes of IPv4 fragments."),
    field("node_sockstat_RAW6_inuse", "Raw IPv6 sockets."),
    field("node_sockstat_RAW_inuse", "Raw IPv4 sockets."),
    field("node_sockstat_TCP6_inuse", "TCP sockets of IPv6."),
    field("node_sockstat_TCP_alloc", "TCP sockets in any state, of all network namespaces."),
    field("node_sockstat_TCP_inuse", "TCP sockets of IPv4."),
    field("node_sockstat_TCP_mem", "Pages of memory used by TCP."),
    field("node_sockstat_TCP_mem_bytes", "Memory used by TCP."),
    field("node_sockstat_TCP_orphan", "TCP sockets that no process holds."),
    field("node_sockstat_TCP_tw", "TCP sockets in state TIME_WAIT."),
    field("node_sockstat_UDP6_inuse", "UDP sockets of IPv6."),
    field("node_sockstat_UDPLITE6_inuse", "UDP-Lite sockets of IPv6."),
    field("node_sockstat_UDPLITE_inuse", "UDP-Lite sockets of IPv4."),
    field("node_sockstat_UDP_inuse", "UDP sockets of IPv4."),
    field("node_sockstat_UDP_mem", "Pages of memory used by UDP."),
    field("node_sockstat_UDP_mem_bytes", "Memory used by UDP."),
    field("node_sockstat_sockets_used", "Sockets of every kind."),
];

struct SockStat {
    files: [FileReader; 2],
    names: Names,
    page_bytes: u64,
}

impl Collector for SockStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.names.rewind();
        let mut result = Ok(());
        for file in &mut self.files {
            match emit_file(file, &mut self.names, self.page_bytes, sink) {
                // A kernel may do without IPv4 or without IPv6.
                Err(CollectError::NoData(_)) => {}
                other => result = result.and(other),
            }
        }
        result
    }
}

/// Emits every line that is understood; the first that is not is the error.
fn emit_file(
    file: &mut FileReader,
    names: &mut Names,
    page_bytes: u64,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    let mut result = Ok(());
    let text = file.read().map_err(CollectError::missing_is_no_data)?;
    for (line_number, line) in lines(text) {
        if let Err(what) = emit_line(line, names, page_bytes, sink) {
            result = result.and(Err((line_number, what)));
        }
    }
    result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
}

/// `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`
fn emit_line(
    line: &[u8],
    names: &mut Names,
    page_bytes: u64,
    sink: &mut dyn MetricSink,
) -> Result<(), String> {
    let mut words = words(line);
    let Some(protocol) = words.next() else { return Ok(()) };
    let Some(protocol) = protocol.strip_suffix(b":") else {
        return Err(format!("expected a protocol and a colon, found {}", shown(protocol)));
    };
    while let Some(state) = words.next() {
        let word = words.next().unwrap_or_default();
        let value = whole(word).ok_or_else(|| {
            format!("expected a number after {}, found {}", shown(state), shown(word))
        })?;
        for family in names.next([protocol, state], || describe(protocol, state)) {
            family
                .emit(sink, if family.column == BYTES { bytes(value, page_bytes) } else { value });
        }
    }
    Ok(())
}

/// Which family of a state shows pages as bytes.
const BYTES: usize = 1;

fn describe(protocol: &[u8], state: &[u8]) -> Vec<(usize, String, String)> {
    let mut name = String::from("node_sockstat_");
    push_word(&mut name, protocol);
    name.push('_');
    push_word(&mut name, state);
    let bytes = (state == b"mem").then(|| (BYTES, format!("{name}_bytes")));
    let described = [(0, name)].into_iter().chain(bytes).map(|(column, name)| {
        let help = match FIELDS.iter().find(|doc| doc.name == name) {
            Some(doc) => doc.help.to_owned(),
            None => format!("Sockets of {}: {}.", text(protocol), text(state)),
        };
        (column, name, help)
    });
    described.collect()
}

fn bytes(pages: Value<'static>, page_bytes: u64) -> Value<'static> {
    match pages {
        Value::U64(pages) => match pages.checked_mul(page_bytes) {
            Some(bytes) => Value::U64(bytes),
            None => Value::F64(pages as f64 * page_bytes as f64),
        },
        Value::F64(pages) => Value::F64(pages * page_bytes as f64),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn protocols_and_states_make_the_names() {
        let host = Host::new(&[
            (
                "proc/1/net/sockstat",
                "sockets: used 229\nTCP: inuse 4 tw -1\nSMC: inuse 2 new-one 3\n",
            ),
            ("proc/1/net/sockstat6", "TCP6: inuse 17\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_sockstat_sockets_used 229\nnode_sockstat_TCP_inuse 4\nnode_sockstat_TCP_tw -1\n\
             node_sockstat_SMC_inuse 2\nnode_sockstat_SMC_new_one 3\nnode_sockstat_TCP6_inuse 17\n"
        );
    }

    #[test]
    fn memory_is_told_in_pages_and_in_bytes() {
        let host = Host::new(&[("proc/net/sockstat", "UDP: mem 2\n")]);
        let page = sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap();
        assert_eq!(
            lines(&host, &DEF),
            format!("node_sockstat_UDP_mem 2\nnode_sockstat_UDP_mem_bytes {}\n", 2 * page)
        );
        assert!(matches!(bytes(Value::U64(u64::MAX), 4096), Value::F64(bytes) if bytes > 7e22));
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let host = Host::new(&[("proc/net/sockstat", "TCP inuse 1\nUDP: inuse\nRAW: inuse 3\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_sockstat_RAW_inuse 3\n");
        let error = result.unwrap_err().to_string();
        assert!(
            error.ends_with("sockstat:1: expected a protocol and a colon, found \"TCP\""),
            "{error}"
        );
    }

    #[test]
    fn without_both_files_there_is_nothing_to_show() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
