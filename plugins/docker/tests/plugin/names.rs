//! The story of a daemon: what it says is followed, what it cannot say does no harm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{Daemon, Running, WEB, wait_for};

const RUNNING: &str = r#"{"Status": "running", "Pid": 22963}"#;

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tree/v1")
}

/// A line of the memory family for the container of the tree.
fn memory(name: Option<&str>) -> String {
    let labels = name.map(|name| {
        format!(r#",image="lab/busybox:1",name="{name}",container_label_com_docker_compose_service="{name}""#)
    });
    format!(
        r#"container_spec_memory_limit_bytes{{id="/docker/{WEB}"{}}} 67108864"#,
        labels.unwrap_or_default()
    )
}

fn state(name: &str, state: &str) -> String {
    format!(
        r#"vigie_container_state{{container_id="{WEB}",image="lab/busybox:1",name="{name}",container_label_com_docker_compose_service="{name}",state="{state}"}} 1"#
    )
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test]
fn events_keep_the_names_fresh_without_asking_at_scrapes() {
    let daemon = Daemon::start();
    daemon.put(WEB, "web", RUNNING);
    let mut vigie = Running::start(&daemon.socket(), &tree());
    let inspection = format!("/containers/{WEB}/json");
    for _ in 0..3 {
        let text = vigie.collect("container").0;
        assert!(has(&text, &memory(Some("web"))) && has(&text, &state("web", "running")), "{text}");
    }
    assert_eq!((daemon.asked(&inspection), daemon.asked("/containers/json")), (1, 1));

    daemon.put(WEB, "shop", RUNNING);
    daemon.event(WEB, "rename");
    vigie.wait_for_line("container", &memory(Some("shop")));
    daemon.put(WEB, "shop", r#"{"Status": "exited", "ExitCode": 137, "OOMKilled": true}"#);
    daemon.event(WEB, "die");
    let text = vigie.wait_for_line("container", &state("shop", "exited"));
    assert!(text.contains("vigie_container_exit_code") && text.contains("} 137\n"), "{text}");
    daemon.remove(WEB);
    daemon.event(WEB, "destroy");
    let text = vigie.wait_for_line("container", &memory(None));
    assert!(!text.contains("vigie_container_state"), "{text}");
    vigie.stop();
}

#[test]
fn figures_go_on_while_the_daemon_is_away_and_states_come_back_with_it() {
    let daemon = Daemon::start();
    daemon.put(WEB, "web", RUNNING);
    let mut vigie = Running::start(&daemon.socket(), &tree());
    let (text, outcome) = vigie.collect("docker");
    assert!(outcome.is_ok() && has(&text, "vigie_docker_up 1"), "{text}");
    let node = r#"node_meta{container_label_com_docker_swarm_node_id="node1",node_id="node1",node_name="n1"} 1"#;
    assert!(has(&text, node), "{text}");

    daemon.stop();
    vigie.wait_for_line("docker", "vigie_docker_up 0");
    let text = vigie.collect("container").0;
    assert!(has(&text, &memory(Some("web"))), "a name that was learned stays:\n{text}");
    assert!(!text.contains("vigie_container_state"), "a state may have changed:\n{text}");

    daemon.put(WEB, "shop", RUNNING);
    daemon.listen();
    vigie.wait_for_line("docker", "vigie_docker_up 1");
    let text = vigie.collect("container").0;
    assert!(has(&text, &memory(Some("shop"))) && has(&text, &state("shop", "running")), "{text}");
    vigie.stop();
}

#[test]
fn in_a_container_of_its_own_vigie_goes_by_the_daemons_pids() {
    // In another PID namespace v2 lists zeros and v1 lists nobody.
    for (version, listed, path) in [
        ("v2", "0\n0\n", format!("system.slice/docker-{WEB}.scope")),
        ("v1", "", format!("cpu,cpuacct/docker/{WEB}")),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tree").join(version);
        let copied = Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
        let tree = copy.path().join(version);
        std::fs::write(tree.join("sys/fs/cgroup").join(path).join("cgroup.procs"), listed).unwrap();

        let daemon = Daemon::start();
        daemon.put(WEB, "web", RUNNING);
        let mut vigie = Running::start(&daemon.socket(), &tree);
        let text = vigie.collect("container").0;
        let received = text.lines().find(|line| {
            line.starts_with("container_network_receive_bytes_total")
                && line.contains("name=\"web\"")
        });
        assert!(received.is_some_and(|line| line.ends_with("interface=\"eth0\"} 1294")), "{text}");
        vigie.stop();
    }
}

#[test]
fn without_a_daemon_containers_go_by_their_ids() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut vigie = Running::start(&nowhere.path().join("docker.sock"), &tree());
    assert_eq!(vigie.notes.len(), 1);
    assert!(vigie.notes[0].starts_with("docker: no socket at "), "{:?}", vigie.notes);
    let (text, outcome) = vigie.collect("container");
    assert!(outcome.is_ok() && has(&text, &memory(None)), "{text}");
    let started = format!(r#"container_start_time_seconds{{id="/docker/{WEB}"}} 1795199451"#);
    assert!(has(&text, &started), "of its first process:\n{text}");
    assert_eq!(vigie.collect("docker").1.unwrap_err().kind(), "no_data");
    vigie.stop();
}

#[test]
fn without_daemon_and_containers_there_is_silence() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut vigie = Running::start(&nowhere.path().join("docker.sock"), nowhere.path());
    for collector in ["container", "docker"] {
        let (text, outcome) = vigie.collect(collector);
        assert_eq!((text.as_str(), outcome.unwrap_err().kind()), ("", "no_data"));
    }
    vigie.stop();
}

#[test]
fn answers_that_make_no_sense_do_no_harm() {
    let inspection = format!("/containers/{WEB}/json");
    let list = "/containers/json";
    let deep = "[".repeat(100_000);
    for (path, body) in [
        ("/version", "{}"),
        ("/version", r#"{"ApiVersion": "a.b.c"}"#),
        ("/version", r#"{"ApiVersion": 99999999999999999999}"#),
        (list, ""),
        (list, "null"),
        (list, "[null]"),
        (list, r#"[{"Id": "../../../etc", "Names": null, "State": "dancing"}]"#),
        (list, deep.as_str()),
        (inspection.as_str(), "[]"),
        (inspection.as_str(), r#"{"State": {"Status": 7, "Pid": "x"}}"#),
        (inspection.as_str(), "\u{0}\u{ffff}"),
        ("/info", "{"),
    ] {
        let daemon = Daemon::start();
        daemon.put(WEB, "web", RUNNING);
        daemon.answer(path, body);
        let mut vigie = Running::start(&daemon.socket(), &tree());
        let (text, outcome) = vigie.collect("container");
        assert!(
            outcome.is_ok() && text.contains(&format!("id=\"/docker/{WEB}\"")),
            "{path} {body}:\n{text}"
        );
        vigie.stop();
    }
}

#[test]
fn a_stream_of_nonsense_is_a_lost_connection() {
    let daemon = Daemon::start();
    daemon.put(WEB, "web", RUNNING);
    let vigie = Running::start(&daemon.socket(), &tree());
    daemon.say("{}\n{\"Actor\": {\"ID\": \"../etc\"}, \"new\": 1}\n");
    for (round, text) in ["7}}}\n", "[1, 2]\n", "\u{1}\n"].iter().enumerate() {
        let _open = daemon.last_words(text);
        wait_for("a new list", || (daemon.asked("/containers/json") > round + 1).then_some(()));
    }
    assert_eq!(daemon.asked("/containers/../etc/json"), 0);
    vigie.stop();
}
