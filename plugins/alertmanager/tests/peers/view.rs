//! The view as a browser shows it, and as somebody without a script uses it.
//!
//! Chromium loads the pages, forms are sent as a browser sends them, amtool tells what became of
//! them. It must not look inside the router.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use common::{Amtool, Answer, Proc, Query, SOON, get, post, program, request, wait_for};
use serde_json::{Value, json};

use crate::support::Ours;

const HOSTILE: &str = "\"><script>document.title='owned'</script><img src=x onerror=alert(1)>";

fn chromium(profile: &Path) -> Command {
    let mut command = Command::new(program("chromium"));
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// The document after Chromium has loaded it and run what it runs.
fn dom(address: SocketAddr, path: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let mut command = chromium(profile.path());
    let output = command.args(["--dump-dom", &format!("http://{address}{path}")]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A browser that stays on one page.
struct Browser {
    debugging: SocketAddr,
    _process: Proc,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = chromium(profile.path());
        command.args(["--remote-debugging-port=0", url]);
        let mut process = Proc::start("chromium", &mut command);
        let debugging = process.line("debugging address", |line| {
            let rest = line.strip_prefix("DevTools listening on ws://")?;
            rest.split('/').next()?.parse().ok()
        });
        Browser { debugging, _process: process, _profile: profile }
    }

    /// Waits for a title of the page.
    fn wait_for_title(&self, start: &str) {
        wait_for("a title", SOON, || {
            let tabs = self.tabs();
            let has_title =
                |tab: &Value| tab["title"].as_str().is_some_and(|t| t.starts_with(start));
            if tabs.iter().any(has_title) { Ok(()) } else { Err(format!("{start}: {tabs:?}")) }
        });
    }

    /// What is open. The browser keeps the connection open, which our own client waits for.
    fn tabs(&self) -> Vec<Value> {
        let url = format!("http://{}/json/list", self.debugging);
        let output = Command::new(program("curl")).args(["-s", &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

fn send(address: SocketAddr, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
    let query = Query::new("POST", path).body("application/x-www-form-urlencoded", form.as_bytes());
    let query = headers.iter().fold(query, |query, (name, value)| query.header(name, value));
    request(address, &query).unwrap()
}

#[test]
fn hostile_alerts_are_text_in_a_browser() {
    let ours = Ours::start();
    let alert = json!([{
        "labels": {"alertname": HOSTILE, "severity": HOSTILE, "long": "x".repeat(10_000)},
        "annotations": {"summary": HOSTILE, "runbook_url": "javascript:alert(1)"},
        "generatorURL": "javascript:alert(1)",
    }]);
    assert_eq!(post(ours.address, "/api/v2/alerts", &alert).unwrap().status, 200);
    let dom = dom(ours.address, "/");
    assert!(dom.contains("<article"), "{dom}");
    assert!(dom.contains(">live</p>"), "our own script runs: {dom}");
    assert!(dom.contains("<title>(1) active alert \u{b7} vigie</title>"));
    assert_eq!(dom.matches("<script").count(), 1, "only our own");
    assert!(!dom.contains("<img") && !dom.contains("href=\"javascript"));
    assert!(dom.contains("&lt;script&gt;document.title='owned'"));
}

#[test]
fn the_page_follows_the_router_and_says_when_it_cannot() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    amtool.run(&["alert", "add", "First"]);
    let browser = Browser::open(&format!("http://{}/", ours.address));
    browser.wait_for_title("(1) active alert ");
    amtool.run(&["alert", "add", "Second"]);
    browser.wait_for_title("(2) active alerts ");
    drop(ours);
    browser.wait_for_title("(?) ");
}

#[test]
fn links_in_notifications_lead_to_what_they_name() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    amtool.run(&["alert", "add", "First", "severity=critical"]);
    amtool.run(&["alert", "add", "Second"]);
    let page = dom(ours.address, "/#/alerts?receiver=page&filter=%7Bseverity%3D%22critical%22%7D");
    assert!(page.contains("1 alert in 1 group to page"), "{page}");
    assert!(page.contains("<bdi>First</bdi>") && !page.contains("<bdi>Second</bdi>"));
}

#[test]
fn a_silence_by_forms_alone() {
    let ours = Ours::start();
    let amtool = Amtool::new(ours.address);
    amtool.run(&["alert", "add", "DiskFull", "node=w1"]);
    amtool.run(&["alert", "add", "DiskFull", "node=w2"]);
    let form = "filter=alertname%3DDiskFull+node%3Dw1";
    let preview = get(ours.address, &format!("/silences/new?{form}")).unwrap().ok().text();
    assert!(preview.contains("1 alert matches now") && preview.contains("node=&quot;w1&quot;"));
    let form = format!("{form}&duration=2h&created_by=lea&comment=known");
    let made = send(ours.address, "/silences", &form, &[]);
    assert_eq!(made.status, 303, "{}", made.text());
    let place = made.header("location").to_owned();
    let id = place.strip_prefix("/silence/").unwrap();
    assert_eq!(amtool.run(&["silence", "query", "-q"]), id);
    let page = get(ours.address, "/").unwrap().ok().text();
    assert!(
        page.contains("Silenced by <a href=\"/silence/") && page.contains(">lea</a>"),
        "{page}"
    );
    let form = format!(
        "id={id}&filter=alertname%3DDiskFull+node%3Dw1&duration=1d&created_by=lea\
                        &comment=still+known"
    );
    assert_eq!(send(ours.address, "/silences", &form, &[]).header("location"), place, "in place");
    assert!(get(ours.address, &place).unwrap().ok().text().contains("still known"));
    let ended = send(ours.address, &format!("{place}/expire"), "", &[]);
    assert_eq!((ended.status, ended.header("location")), (303, "/silences"));
    assert_eq!(amtool.run(&["silence", "query", "-q"]), "");
}

#[test]
fn forms_of_other_sites_change_nothing() {
    let ours = Ours::start();
    let form = "filter=a%3Db&duration=2h&created_by=me&comment=x";
    for header in
        [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        assert_eq!(send(ours.address, "/silences", form, &[header]).status, 403, "{header:?}");
    }
    let own = format!("http://{}", ours.address);
    assert_eq!(get(ours.address, "/api/v2/silences").unwrap().ok().json(), json!([]));
    assert_eq!(send(ours.address, "/silences", form, &[("Origin", &own)]).status, 303);
}

#[test]
fn bad_forms_and_filters_get_a_page_that_says_why() {
    let ours = Ours::start();
    for form in ["", "filter=a%3D~(", "%zz=%&&&=", "filter=a%3Db&created_by=x&comment=y&other=soon"]
    {
        let refused = send(ours.address, "/silences", form, &[]);
        assert_eq!(refused.status, 422, "{form}");
        assert!(refused.text().contains("role=\"alert\""), "{form}");
    }
    let page = get(ours.address, "/?filter=a%3D~(&from=-1&group=%00").unwrap().ok();
    assert!(page.text().contains("bad regular expression"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let large = "x".repeat(100_000);
    let refused = request(
        ours.address,
        &Query::new("POST", "/silences")
            .body("application/x-www-form-urlencoded", large.as_bytes()),
    );
    // The server may close while we still send.
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status == 413));
}
