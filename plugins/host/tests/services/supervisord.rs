//! A real supervisord, over TCP and over a Unix socket, and servers that are none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::{Proc, SOON, free_port, program, wait_for};
use tempfile::TempDir;
use vigie_host::supervisord::DEF;

use crate::original;
use crate::subject::{Subject, Table};

const URL: &str = "collector.supervisord.url";

/// A supervisord with some processes.
struct Supervisord {
    directory: TempDir,
    port: u16,
    _process: Proc,
}

impl Supervisord {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = directory.path().join("supervisord.conf");
        std::fs::write(&configuration, configuration_of(directory.path(), port)).unwrap();
        let mut command = Command::new(program("supervisord"));
        command.arg("--nodaemon").arg("--configuration").arg(configuration);
        let process = Proc::start("supervisord", &mut command);
        Supervisord { directory, port, _process: process }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/RPC2", self.port)
    }

    fn socket(&self) -> String {
        self.directory.path().join("socket").display().to_string()
    }

    /// What is shown once every process is where it will stay.
    fn settled(&self, url: &str) -> Table {
        let mut subject = Subject::new(&DEF, Path::new("/"), &[(URL, url)]);
        wait_for("the processes", SOON, || {
            let (table, result) = subject.scrape();
            let state = |name: &str| {
                table.get(&format!("node_supervisord_state{{group={name},name={name}}}"))
            };
            let settled = state("done") == Some(&100.0) && state("broken") == Some(&200.0);
            let settled = settled
                && table.get("node_supervisord_state{group=web,name=web_01}") == Some(&20.0);
            if settled { Ok(table.clone()) } else { Err(format!("{result:?} {table:?}")) }
        })
    }
}

fn configuration_of(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        "[supervisord]\nlogfile={directory}/log\npidfile={directory}/pid\nchildlogdir={directory}\n\
         [inet_http_server]\nport=127.0.0.1:{port}\nusername=ann\npassword=p@ss\n\
         [unix_http_server]\nfile={directory}/socket\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:web]\ncommand=sleep 600\nnumprocs=2\nprocess_name=web_%(process_num)02d\nstartsecs=0\n\
         [program:done]\ncommand=sh -c 'exit 3'\nautorestart=false\nstartsecs=0\n\
         [program:idle]\ncommand=sleep 600\nautostart=false\n\
         [program:broken]\ncommand=/no/such/program\nstartretries=0\n"
    )
}

#[test]
fn a_real_one_is_shown_as_the_original_shows_it() {
    let supervisord = Supervisord::start();
    let url = supervisord.url().replace("//", "//ann:p%40ss@");
    let ours = supervisord.settled(&url);
    let original = original::scrape("supervisord", &[format!("supervisord.url={url}")], &[]);
    assert_eq!(ours, original);
    assert_eq!(ours["node_supervisord_exit_status{group=done,name=done}"], 3.0);
    assert_eq!(ours["node_supervisord_up{group=idle,name=idle}"], 0.0);
    let by_socket = supervisord.settled(&format!("unix://{}", supervisord.socket()));
    assert_eq!(by_socket, ours);
    let mut stranger = Subject::new(&DEF, Path::new("/"), &[(URL, &url.replace("p%40ss", "hush"))]);
    let (_, error) = stranger.failure();
    assert_eq!(error, format!("{}: status 401 \"Unauthorized\"", supervisord.url()));
}

#[test]
fn one_that_never_answers_is_named_and_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/RPC2", listener.local_addr().unwrap());
    let mut subject = Subject::new(&DEF, Path::new("/"), &[(URL, &url)]);
    let (shown, error) = subject.failure();
    assert!(shown.is_empty());
    assert_eq!(error, format!("{url}: no answer within 2 s"));
    assert_eq!(subject.failure().1, format!("{url}: no answer within 2 s; asked again in 20 s"));
    drop(listener);
    subject.wait(21);
    let (_, error) = subject.failure();
    assert!(error.starts_with(&url) && error.contains("refused"), "{error}");
}

#[test]
fn a_server_that_drips_is_given_up_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/RPC2", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // One byte after the other until the client has gone.
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let (_, error) = Subject::new(&DEF, Path::new("/"), &[(URL, &url)]).failure();
    assert_eq!(error, format!("{url}: no answer within 2 s"));
    server.join().unwrap();
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/RPC2", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1000];
        let _ = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse><par")
            .unwrap();
    });
    let (_, error) = Subject::new(&DEF, Path::new("/"), &[(URL, &url)]).failure();
    assert_eq!(error, format!("{url}: the answer is not XML-RPC, or cut off"));
    server.join().unwrap();
}

#[test]
fn a_missing_socket_is_named() {
    let (_, error) =
        Subject::new(&DEF, Path::new("/"), &[(URL, "unix:///no/such/socket")]).failure();
    assert!(error.starts_with("unix:///no/such/socket: "), "{error}");
}
