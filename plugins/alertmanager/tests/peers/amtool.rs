//! Alertmanager's own tool against our API.
//!
//! Every command of it that speaks to a server. It must not know the API's paths.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::Ours;
use common::{Amtool, program};

#[test]
fn alerts_are_added_and_found() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    amtool.run(&[
        "alert",
        "add",
        "DiskFull",
        "node=w1",
        "severity=critical",
        "--annotation=summary=full",
        "--generator-url=http://p/graph",
    ]);
    amtool.run(&["alert", "add", "DiskFull", "node=w2"]);
    let found = amtool.run(&["alert", "query", "DiskFull", "node=~w.*"]);
    assert_eq!(found.lines().count(), 3, "{found}");
    assert!(found.contains("full") && found.contains("active"), "{found}");
    let one = amtool.run(&["-o", "extended", "alert", "query", "node=w1"]);
    assert!(one.contains("http://p/graph") && !one.contains("w2"), "{one}");
    let json = amtool.run(&["-o", "json", "alert", "query", "--receiver=page"]);
    assert!(json.contains("\"node\":\"w1\"") && !json.contains("w2"), "{json}");
}

#[test]
fn silences_are_made_changed_and_ended() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    amtool.run(&["alert", "add", "DiskFull", "node=w1"]);
    let id = amtool.run(&["silence", "add", "DiskFull", "node=~w.", "-c", "known", "-a", "lea"]);
    assert_eq!(id.len(), 36, "{id}");
    let active = amtool.run(&["alert", "query", "DiskFull"]);
    assert!(!active.contains("DiskFull"), "{active}");
    let silenced = amtool.run(&["alert", "query", "--silenced", "DiskFull"]);
    assert!(silenced.contains("suppressed"), "{silenced}");
    let listed = amtool.run(&["silence", "query", "DiskFull"]);
    assert!(listed.contains(&id) && listed.contains("known"), "{listed}");
    amtool.run(&["silence", "update", "-d", "3h", "-c", "for longer", &id]);
    let updated = amtool.run(&["silence", "query"]);
    assert!(updated.contains("for longer") && updated.contains(&id), "in place: {updated}");
    let exported = amtool.run(&["-o", "json", "silence", "query"]);
    amtool.run(&["silence", "expire", &id]);
    assert_eq!(amtool.run(&["silence", "query", "-q"]), "");
    let expired = amtool.run(&["silence", "query", "-q", "--expired"]);
    assert_eq!(expired, id);
    import(&ours, &exported);
    assert_eq!(amtool.run(&["silence", "query", "-q"]).lines().count(), 1);
}

fn import(ours: &Ours, silences: &str) {
    let mut amtool = Command::new(program("amtool"))
        .args(["silence", "import", "--force"])
        .arg(format!("--alertmanager.url=http://{}", ours.address))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    amtool.stdin.take().unwrap().write_all(silences.as_bytes()).unwrap();
    assert!(amtool.wait().unwrap().success());
}

#[test]
fn the_configuration_is_shown_and_understood() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    let config = amtool.run(&["config", "show"]);
    assert!(config.contains("receiver: team") && config.contains("unused"), "{config}");
    let routes = amtool.run(&["config", "routes", "show"]);
    assert!(routes.contains("severity=\"critical\""), "{routes}");
    assert_eq!(amtool.run(&["config", "routes", "test", "severity=critical"]), "page");
    let cluster = amtool.run(&["cluster", "show"]);
    assert!(cluster.contains("disabled"), "{cluster}");
}
