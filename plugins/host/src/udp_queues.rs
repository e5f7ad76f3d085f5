//! `udp_queues`: bytes that wait in the queues of UDP sockets (PROC/1/net/{udp,udp6}).
//!
//! One sum for each direction and protocol version, whatever the number of sockets. It must not know whose they are.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{hexadecimal, lines, shown, words};
use crate::procnet;

static QUEUES: Family<2> =
    Family::gauge("node_udp_queues", "Bytes waiting in UDP sockets.", ["ip", "queue"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("udp_queues", "Bytes waiting in UDP sockets.")
        .reads("PROC/1/net/udp, PROC/1/net/udp6")
        .families(&[QUEUES.doc()]),
    build: |setting| {
        let file = |name| FileReader::kept_open(procnet::file(&setting.paths, name));
        Ok(Box::new(UdpQueues { files: [("v4", file("udp")), ("v6", file("udp6"))] }))
    },
};

struct UdpQueues {
    files: [(&'static str, FileReader); 2],
}

/// Bytes waiting to be sent and to be read.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    sent: u64,
    received: u64,
}

impl Collector for UdpQueues {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut result = Ok(());
        let mut missing = 0;
        for (version, file) in &mut self.files {
            match file.read().map_err(CollectError::missing_is_no_data) {
                Ok(text) => {
                    let (sums, parsed) = sum(text);
                    let mut family = QUEUES.open(sink);
                    family.emit([version, "tx"], sums.sent);
                    family.emit([version, "rx"], sums.received);
                    let path = file.path();
                    let parsed =
                        parsed.map_err(|(line, what)| CollectError::parse(path, line, what));
                    result = result.and(parsed);
                }
                Err(CollectError::NoData(_)) => missing += 1,
                Err(other) => result = result.and(Err(other)),
            }
        }
        if missing == self.files.len() {
            return Err(CollectError::no_data("neither PROC/net/udp nor PROC/net/udp6"));
        }
        result
    }
}

/// Sums every line that is understood; the first that is not is the error.
fn sum(file: &[u8]) -> (Sums, Result<(), (usize, String)>) {
    let mut sums = Sums::default();
    let mut result = Ok(());
    // One line of headings.
    for (line_number, line) in lines(file).skip(1) {
        match parse(line) {
            Some(socket) => {
                sums.sent = sums.sent.wrapping_add(socket.sent);
                sums.received = sums.received.wrapping_add(socket.received);
            }
            None => {
                let what = format!("expected a socket, found {}", shown(line));
                result = result.and(Err((line_number, what)));
            }
        }
    }
    (sums, result)
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...` (udp4_format_sock in net/ipv4/udp.c); a line
/// without an inode was cut off.
fn parse(line: &[u8]) -> Option<Sums> {
    let mut words = words(line);
    let queues = words.nth(4)?;
    words.nth(4)?;
    let colon = memchr::memchr(b':', queues)?;
    Some(Sums {
        sent: hexadecimal(&queues[..colon])?,
        received: hexadecimal(&queues[colon + 1..])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const UDP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when ...\n\
        \x20   0: 0A000005:0016 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 2740 1 0 0\n\
        \x20 533: 00000000:0044 00000000:0000 07 00000010:000000F0 00:00000000 00000000     0        0 1211\n";

    #[test]
    fn queues_are_summed_for_each_version_that_is_there() {
        let text = lines(&Host::new(&[("proc/1/net/udp", UDP)]), &DEF);
        assert_eq!(
            text,
            "node_udp_queues{ip=\"v4\",queue=\"tx\"} 16\nnode_udp_queues{ip=\"v4\",queue=\"rx\"} 241\n"
        );
        let text = lines(&Host::new(&[("proc/net/udp6", "sl\n")]), &DEF);
        assert!(text.contains("{ip=\"v6\",queue=\"rx\"} 0\n"), "{text}");
    }

    #[test]
    fn without_both_files_there_is_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn a_line_that_was_cut_off_costs_itself_only() {
        let cut = UDP.replace("0        0 2740 1 0 0", "0        0");
        let (sums, result) = sum(cut.as_bytes());
        assert_eq!(sums, Sums { sent: 16, received: 240 });
        assert!(result.unwrap_err().1.starts_with("expected a socket, found \"    0: "));
    }
}
