//! `tcpstat`: how many TCP connections are in each state (sock_diag).
//!
//! One message of the kernel for each socket, so this costs on a host with many. It must not know who owns a socket.

use std::io;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting};
use vigie_core::metric::{Family, MetricSink};

use crate::namespace::Namespace;
use crate::netlink::Socket;
use crate::netlink::socket_diag::{TcpSocket, Version, tcp_sockets};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("tcpstat", "TCP connections by state.")
        .reads("sock_diag SOCK_DIAG_BY_FAMILY")
        .off_by_default()
        .families(&[STATES.doc()]),
    build: |setting| Ok(Box::new(TcpStat::new(setting))),
};

static STATES: Family<1> = Family::gauge(
    "node_tcp_connection_states",
    "TCP sockets by state, and bytes in their queues.",
    ["state"],
);

/// The states of net/tcp_states.h, which count from 1, in node_exporter's words.
static NAMES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

struct TcpStat {
    socket: Socket,
}

impl TcpStat {
    fn new(setting: &Setting) -> Self {
        TcpStat { socket: Socket::socket_diag(Namespace::most_likely(&setting.paths)) }
    }
}

/// What was counted.
#[derive(Default)]
struct Counts {
    states: [u64; NAMES.len()],
    received: u64,
    to_send: u64,
    sockets: u64,
}

impl Counts {
    /// States that are not for users, such as the halves of a connection, have no name.
    fn add(&mut self, socket: &TcpSocket) {
        let state = usize::from(socket.state).checked_sub(1);
        if let Some(count) = state.and_then(|state| self.states.get_mut(state)) {
            *count += 1;
        }
        self.received += u64::from(socket.receive_queue);
        self.to_send += u64::from(socket.send_queue);
        self.sockets += 1;
    }

    fn emit(&self, sink: &mut dyn MetricSink) {
        let mut family = STATES.open(sink);
        for (name, count) in NAMES.iter().zip(self.states).filter(|(_, count)| *count > 0) {
            family.emit([name], count);
        }
        if self.sockets > 0 {
            family.emit(["rx_queued_bytes"], self.received);
            family.emit(["tx_queued_bytes"], self.to_send);
        }
    }
}

impl Collector for TcpStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut counts = Counts::default();
        let mut ask =
            |version| tcp_sockets(&mut self.socket, version, &mut |socket| counts.add(socket));
        let asked = ask(Version::V4).and_then(|()| match ask(Version::V6) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            asked => asked,
        });
        counts.emit(sink);
        asked.map_err(|error| failure(&error))
    }
}

fn failure(error: &io::Error) -> CollectError {
    match error.kind() {
        io::ErrorKind::NotFound => {
            CollectError::no_data("the kernel has no sock_diag for TCP (module tcp_diag)")
        }
        _ => CollectError::Other(format!("ask sock_diag for sockets: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, scrape};

    #[test]
    fn only_states_that_occur_are_told() {
        let mut counts = Counts::default();
        for (state, receive_queue) in [(1, 7), (10, 0), (1, u32::MAX), (12, 0), (0, 0)] {
            counts.add(&TcpSocket { state, receive_queue, send_queue: 2 });
        }
        let mut sink = Lines::default();
        counts.emit(&mut sink);
        let expected = [
            "established\"} 2",
            "listen\"} 1",
            "rx_queued_bytes\"} 4294967302",
            "tx_queued_bytes\"} 10",
        ];
        let line = |end: &str| format!("node_tcp_connection_states{{state=\"{end}\n");
        assert_eq!(sink.text, expected.map(line).concat());
        let mut sink = Lines::default();
        Counts::default().emit(&mut sink);
        assert_eq!(sink.text, "");
    }

    #[test]
    fn a_kernel_without_the_module_has_no_data() {
        let failure = |errno| failure(&io::Error::from_raw_os_error(errno)).kind();
        assert_eq!((failure(libc::ENOENT), failure(libc::EPERM)), ("no_data", "other"));
    }

    #[test]
    fn a_listener_of_this_process_is_counted() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (text, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        result.unwrap();
        assert!(text.contains("state=\"listen\""), "{text}");
    }
}
