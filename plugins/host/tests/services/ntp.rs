//! Time servers: chronyd, and one that says what a test wants.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Proc, SOON, program, wait_for};
use vigie_host::ntp::DEF;

use crate::original;
use crate::subject::Subject;

fn subject(port: u16) -> Subject {
    let port = port.to_string();
    Subject::new(&DEF, Path::new("/"), &[("collector.ntp.server-port", &port)])
}

/// A time server with a script: it turns a good answer into those it sends.
struct Server {
    port: u16,
    socket: UdpSocket,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(script: impl Fn([u8; 48]) -> Vec<[u8; 48]> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let server = socket.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let mut question = [0; 100];
            // A datagram of another length ends it.
            while let Ok((48, client)) = server.recv_from(&mut question) {
                for answer in script(good(&question)) {
                    server.send_to(&answer, client).unwrap();
                }
            }
        });
        Server { port, socket, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.socket.send_to(b"end", self.socket.local_addr().unwrap()).unwrap();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// A server of stratum 2 whose clock is right and was set a minute ago.
fn good(question: &[u8]) -> [u8; 48] {
    let mut answer = [0; 48];
    answer[..4].copy_from_slice(&[0x24, 2, 6, 0xe9]);
    // A quarter of a second to the root and back, an eighth of error.
    answer[4..12].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x20, 0]);
    answer[16..24].copy_from_slice(&(now() - (60 << 32)).to_be_bytes());
    answer[24..32].copy_from_slice(&question[40..48]);
    answer[32..40].copy_from_slice(&now().to_be_bytes());
    answer[40..].copy_from_slice(&now().to_be_bytes());
    answer
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    ((now.as_secs() + 2_208_988_800) << 32)
        | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000)
}

fn is_live(series: &str) -> bool {
    ["rtt", "offset", "reference"].iter().any(|name| series.contains(name))
}

#[test]
fn a_good_server_is_shown_as_the_original_shows_it() {
    let server = Server::start(|good| vec![good]);
    let mut subject = subject(server.port);
    let ours = subject.table();
    let flags = [format!("ntp.server-port={}", server.port)];
    original::assert_covers(&ours, &original::scrape("ntp", &flags, &[]), is_live);
    assert_eq!(ours["node_ntp_root_delay_seconds{}"], 0.25);
    assert_eq!(ours["node_ntp_root_dispersion_seconds{}"], 0.125);
    assert_eq!(ours["node_ntp_sanity{}"], 1.0);
    assert!(ours["node_ntp_offset_seconds{}"].abs() <= ours["node_ntp_rtt_seconds{}"]);
    let age = now() / (1 << 32) - 2_208_988_800;
    assert!((ours["node_ntp_reference_timestamp_seconds{}"] - age as f64 + 60.0).abs() < 30.0);
}

#[test]
fn a_server_without_time_is_not_sane() {
    let server = Server::start(|mut answer| {
        answer[..2].copy_from_slice(&[0xe4, 0]);
        answer[16..24].fill(0);
        vec![answer]
    });
    let ours = subject(server.port).table();
    let flags = [format!("ntp.server-port={}", server.port)];
    original::assert_covers(&ours, &original::scrape("ntp", &flags, &[]), is_live);
    assert_eq!((ours["node_ntp_leap{}"], ours["node_ntp_sanity{}"]), (3.0, 0.0));
    assert_eq!(ours["node_ntp_reference_timestamp_seconds{}"], 0.0);
}

#[test]
fn answers_to_other_questions_are_passed_over() {
    let server = Server::start(|good| {
        let mut other = good;
        other[24] ^= 1;
        other[1] = 9;
        vec![other, good]
    });
    assert_eq!(subject(server.port).table()["node_ntp_stratum{}"], 2.0);
}

#[test]
fn what_no_server_says_is_refused() {
    for (at, value, what) in [
        (0, 0x23, "the answer is not that of a server"),
        (32, 0xff, "the server's clock stepped back"),
    ] {
        let server = Server::start(move |mut answer| {
            answer[at] = value;
            vec![answer]
        });
        let (shown, error) = subject(server.port).failure();
        assert!(shown.is_empty());
        assert_eq!(error, format!("127.0.0.1:{}: {what}", server.port));
    }
}

#[test]
fn silence_is_named_and_not_waited_for_again() {
    let server = Server::start(|_| Vec::new());
    let mut subject = subject(server.port);
    let silent = format!("127.0.0.1:{}: no answer within 1 s", server.port);
    assert_eq!(subject.failure().1, silent);
    assert_eq!(subject.failure().1, format!("{silent}; asked again in 20 s"));
    subject.wait(21);
    assert_eq!(subject.failure().1, silent);
}

#[test]
fn a_port_without_server_is_named() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_, error) = subject(port).failure();
    assert!(
        error.starts_with(&format!("127.0.0.1:{port}: ")) && error.contains("refused"),
        "{error}"
    );
}

#[test]
fn chronyd_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = directory.path().join("chrony.conf");
    let path = directory.path().display();
    let text = format!(
        "local stratum 8\nallow 127.0.0.1\nbindaddress 127.0.0.1\nport {port}\ncmdport 0\n\
         bindcmdaddress /\npidfile {path}/pid\n"
    );
    std::fs::write(&configuration, text).unwrap();
    // It serves this machine's clock and leaves it alone (-x), whoever starts it (-U).
    let mut command = Command::new(program("chronyd"));
    command.args(["-d", "-x", "-U", "-u"]).arg(user()).arg("-f").arg(configuration);
    let mut chronyd = Proc::start("chronyd", &mut command);
    let mut subject = subject(port);
    let shown = wait_for("an answer of chronyd", SOON, || {
        assert!(chronyd.is_running(), "{}", chronyd.output());
        subject.wait(600);
        let (table, result) = subject.scrape();
        result.map(|()| table)
    });
    assert_eq!((shown["node_ntp_stratum{}"], shown["node_ntp_leap{}"]), (8.0, 0.0));
    assert_eq!(shown["node_ntp_sanity{}"], 1.0);
}

/// The name of who runs the test.
fn user() -> String {
    let output = Command::new(program("id")).arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
