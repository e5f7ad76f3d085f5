//! Peers that hang, asked again and again: no thread and no descriptor stays behind.
//!
//! It is alone in its program, so that what the kernel counts is the collectors' own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use subject::Subject;
use vigie_host::{loadavg, ntp, supervisord};

#[path = "services/subject.rs"]
mod subject;

/// Entries of a directory of this process.
fn count(directory: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{directory}")).unwrap().count()
}

/// Long enough for a collector to ask a silent peer again.
const REST: u64 = 600;

#[test]
fn what_hangs_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("run/dbus")).unwrap();
    let _bus = UnixListener::bind(root.path().join("run/dbus/system_bus_socket")).unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/RPC2", http.local_addr().unwrap());
    let port = clock.local_addr().unwrap().port().to_string();
    let mut subjects = vec![
        Subject::new(&supervisord::DEF, root.path(), &[("collector.supervisord.url", &url)]),
        Subject::new(&ntp::DEF, root.path(), &[("collector.ntp.server-port", &port)]),
    ];
    #[cfg(feature = "systemd")]
    subjects.extend([
        Subject::new(&vigie_host::systemd::DEF, root.path(), &[]),
        Subject::new(&vigie_host::logind::DEF, root.path(), &[]),
    ]);
    let mut healthy = Subject::new(&loadavg::DEF, root.path(), &[]);
    let mut held = Vec::new();
    for _ in 0..2 {
        assert_eq!(healthy.table().len(), 3);
        for subject in &mut subjects {
            let (shown, error) = subject.failure();
            assert!(shown.is_empty() && error.contains("no answer"), "{error}");
            subject.wait(REST);
        }
        held.push((count("task"), count("fd")));
    }
    assert!(held[0] == held[1], "threads and descriptors: {held:?}");
}
