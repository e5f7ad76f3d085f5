//! Recorded hosts and what is exposed of them, whole.
//!
//! `UPDATE=1 cargo test -p vigie-docker --test plugin tree` writes the expositions anew.

use std::path::Path;

use crate::kit::{Daemon, Running, WEB};

const STATE: &str = r#"{"Status": "running", "Pid": 22963, "ExitCode": 0, "OOMKilled": false,
                        "StartedAt": "2026-11-20T18:31:30.1Z", "FinishedAt": "0001-01-01T00:00:00Z"}"#;

fn golden(version: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tree");
    let daemon = Daemon::start();
    daemon.put(WEB, "web", STATE);
    let mut running = Running::start(&daemon.socket(), &here.join(version));
    let (text, outcome) = running.collect("container");
    outcome.unwrap();
    let expected = here.join(format!("{version}.prom"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &text).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap();
    for (found, wanted) in text.lines().zip(expected.lines()) {
        assert_eq!(found, wanted);
    }
    assert_eq!(text.len(), expected.len());
    running.stop();
}

#[test]
fn version_1() {
    golden("v1");
}

#[test]
fn version_2() {
    golden("v2");
}

#[test]
fn hybrid() {
    golden("hybrid");
}
