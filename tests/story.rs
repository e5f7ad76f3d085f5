//! The story of a broken promise, told with real programs.
//!
//! Traefik serves a gallery, visitors look at it, Prometheus scrapes vigie. The gallery turns slow and
//! then fails; vigie sees it in the access log, calls, is silenced, is killed, comes back, and tells when
//! all is well again.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::{
    Amtool, Arrival, Backend, Clients, Inbox, Prometheus, SOON, SmtpLab, Traefik, Vigie, get,
    wait_for,
};
use serde_json::Value;

const USER: &str = "vigie";
const PASSWORD: &str = "hunter2";
/// The objectives that break together.
const OBJECTIVES: &[&str] = &["gallery-latency", "gallery-mean", "gallery-errors"];
/// An alert is repeated after this time, not earlier.
const REPEAT: Duration = Duration::from_secs(10);

/// What vigie is told: follow the log, hold it against the promises, call.
fn configuration(traefik: &Traefik, gallery: &Inbox, others: &Inbox, mail: &SmtpLab) -> String {
    format!(
        "accesslog:
  - path: {log}
    start: beginning

slo:
  - name: gallery-latency
    select: {{service: gallery@file}}
    latency: {{below: 100ms, target: 95%}}
    window: 5s
    min_events: 10
  - name: gallery-mean
    select: {{service: gallery@file}}
    latency: {{mean: 100ms}}
    window: 5s
    min_events: 10
  - name: gallery-errors
    select: {{service: gallery@file}}
    errors: {{codes: [5xx], target: 99%}}
    window: 5s
    min_events: 10

alerting:
  config:
    global:
      smtp_smarthost: 127.0.0.1:{port}
      smtp_from: vigie@example.org
      smtp_auth_username: {USER}
      smtp_auth_password: {PASSWORD}
    route:
      receiver: others
      group_by: [alertname]
      group_wait: 1s
      group_interval: 2s
      repeat_interval: {repeat}s
      routes:
        - matchers: ['slo=~\"gallery-.*\"']
          receiver: gallery
          group_by: [service]
          group_wait: 6s
          repeat_interval: {repeat}s
    receivers:
      - name: others
        webhook_configs:
          - url: {others}
      - name: gallery
        webhook_configs:
          - url: {gallery}
        email_configs:
          - to: gallery@example.org
            send_resolved: true
            tls_config: {{ca_file: {authority}}}
",
        log = traefik.log().display(),
        port = mail.port,
        repeat = REPEAT.as_secs(),
        others = others.url(),
        gallery = gallery.url(),
        authority = mail.authority().display(),
    )
}

/// The rule files we ship.
fn shipped_rules() -> Vec<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files
        .filter(|path| name(path).ends_with(".yml") && !name(path).ends_with(".test.yml"))
        .collect()
}

/// A rule of Prometheus' own that always fires.
const OWN_RULE: &str = "groups:
  - name: own
    rules:
      - alert: PrometheusSays
        expr: vector(1)
        annotations: {summary: sent by Prometheus itself}
";

/// The objectives among the alerts of a notification that are in this state.
fn objectives(notification: &Value, status: &str) -> Vec<String> {
    let alerts = notification["alerts"].as_array().unwrap();
    let chosen = alerts.iter().filter(|alert| alert["status"] == status);
    let mut names: Vec<String> =
        chosen.map(|alert| alert["labels"]["slo"].as_str().unwrap_or("").to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Notifications of one kind, in the order of their arrival.
fn firing(inbox: &Inbox) -> Vec<Value> {
    inbox.all().into_iter().filter(|body| body["status"] == "firing").collect()
}

/// Waits until the group that nobody silenced was repeated twice more: then a repeat of any other
/// group is overdue.
fn wait_two_repeats(others: &Inbox) {
    let before = firing(others).len();
    wait_for("two more repeats", 4 * SOON, || {
        let now = firing(others).len();
        if now >= before + 2 { Ok(()) } else { Err(format!("{before} then {now}")) }
    });
}

/// Nobody is told the same twice within the repeat interval.
fn assert_nothing_twice(inbox: &Inbox) {
    let mut latest: HashMap<String, Arrival> = HashMap::new();
    for later in inbox.arrivals() {
        let Some(earlier) = latest.insert(later.body["groupKey"].to_string(), later.clone()) else {
            continue;
        };
        let same = earlier.body["alerts"] == later.body["alerts"];
        let gap = later.at.duration_since(earlier.at);
        // A second of grace: an arrival is later than its sending.
        assert!(!same || gap + Duration::from_secs(1) >= REPEAT, "{gap:?}: {:#}", later.body);
    }
}

/// Waits until vigie has it on disk that everything in the inboxes has arrived: the journal is in order,
/// so a silence that is acknowledged comes after all that was known before.
fn wait_recorded(vigie: &Vigie, amtool: &Amtool, inboxes: [&Inbox; 2]) {
    wait_for("the answers to be known", SOON, || {
        let known = vigie.sample("alertmanager_notifications_total{integration=\"webhook\"}");
        let arrived: usize = inboxes.iter().map(|inbox| inbox.all().len()).sum();
        let all = known.is_some_and(|known| known.to_string() == arrived.to_string());
        if all { Ok(()) } else { Err(format!("{known:?} of {arrived}")) }
    });
    amtool.run(&["silence", "add", "alertname=Nothing", "--comment=story", "--author=test"]);
}

fn assert_scraped(prometheus: &Prometheus) {
    let up = prometheus.wait("up{job=\"vigie\"} == 1");
    assert_eq!(up.len(), 1);
    let targets = prometheus.api("targets");
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target:#}");
    for expression in [
        "node_load1",
        "node_scrape_collector_success{collector=\"cpu\"} == 1",
        "vigie_accesslog_requests_total{service=\"gallery@file\",code=\"200\"} > 10",
        "vigie_accesslog_request_duration_seconds_bucket{service=\"gallery@file\",le=\"0.1\"} > 10",
        "vigie_slo_met{slo=\"gallery-latency\"} == 1",
    ] {
        assert!(!prometheus.wait(expression).is_empty(), "{expression}");
    }
    let groups = prometheus.api("rules");
    let groups = groups["groups"].as_array().unwrap();
    assert!(groups.len() > 1, "the shipped rules are loaded");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["lastError"].as_str().unwrap_or(""), "", "{rule:#}");
    }
}

fn wait_alerts(vigie: &Vigie, state: &str) {
    wait_for(&format!("every objective to be {state}"), SOON, || {
        let alerts = vigie.alerts("");
        let is = |alert: &Value, slo: &str| {
            alert["labels"]["slo"] == slo && alert["status"]["state"] == state
        };
        let all = OBJECTIVES.iter().all(|slo| alerts.iter().any(|alert| is(alert, slo)));
        if all { Ok(()) } else { Err(format!("{alerts:#?}")) }
    });
}

#[test]
fn a_promise_is_broken_and_kept_again() {
    let backend = Backend::start();
    let traefik = Traefik::start(backend.address(), "json");
    let (gallery, others) = (Inbox::start(), Inbox::start());
    let mail = SmtpLab::start(USER, PASSWORD);
    let mut vigie = Vigie::with().yaml(configuration(&traefik, &gallery, &others, &mail)).start();
    let own = tempfile::tempdir().unwrap();
    let own_rule = own.path().join("own.yml");
    fs::write(&own_rule, OWN_RULE).unwrap();
    let rules: Vec<PathBuf> = shipped_rules().into_iter().chain([own_rule]).collect();
    let prometheus = Prometheus::start(&[vigie.web], vigie.alerting, &rules);
    let amtool = Amtool::new(vigie.alerting);
    let visitors = Clients::visit(traefik.address, 4, Duration::from_millis(20));

    // All is well: Prometheus sees it, and nobody is called but for what Prometheus itself says.
    assert_scraped(&prometheus);
    others.wait("the alert that Prometheus sent", |body| {
        body["alerts"][0]["labels"]["alertname"] == "PrometheusSays"
    });
    assert_eq!(gallery.all(), [Value::Null; 0]);

    // The gallery turns slow, then fails.
    backend.turn_slow(Duration::from_millis(300));
    wait_for("the first alert", SOON, || {
        let alerts = vigie.alerts("slo=\"gallery-mean\"");
        if alerts.is_empty() { Err(vigie.scrape()) } else { Ok(()) }
    });
    backend.fail(503);
    wait_alerts(&vigie, "active");
    let queried = amtool.run(&["alert", "query", "slo=~gallery-.*"]);
    assert!(queried.contains("VigieSlo"), "{queried}");
    let page = get(vigie.alerting, "/").unwrap().ok().text();
    assert!(page.contains("gallery-errors") && page.contains("PrometheusSays"), "{page}");

    // One webhook and one mail for all of it.
    let all: Vec<String> = {
        let mut all: Vec<String> = OBJECTIVES.iter().map(|slo| (*slo).to_owned()).collect();
        all.sort();
        all
    };
    let grouped = gallery.wait("one webhook for all", |body| objectives(body, "firing") == all);
    assert_eq!((&grouped["version"], &grouped["receiver"]), (&"4".into(), &"gallery".into()));
    let told = mail.wait("one mail for all", |mail| {
        OBJECTIVES.iter().all(|slo| mail["text"].as_str().unwrap_or("").contains(slo))
    });
    assert!(told["subject"].as_str().unwrap().starts_with("[FIRING:"), "{told:#}");
    assert!(told["html"].as_str().unwrap().contains("gallery-errors"), "{told:#}");
    let alerts = vigie.alerts("slo=~\"gallery-.*\"").len();
    assert!(gallery.all().len() < alerts, "grouped, not one per alert: {:#?}", gallery.all());

    // A silence stops the repeats.
    let id = amtool.run(&[
        "silence",
        "add",
        "slo=~gallery-.*",
        "--comment=story",
        "--author=test",
        "--duration=1h",
    ]);
    wait_alerts(&vigie, "suppressed");
    let before = (firing(&gallery).len(), mail.all().len());
    wait_two_repeats(&others);
    assert_eq!((firing(&gallery).len(), mail.all().len()), before, "silenced");

    // Killed in the middle, it comes back with its silences and repeats nothing too early.
    wait_recorded(&vigie, &amtool, [&gallery, &others]);
    vigie.process.kill();
    vigie = vigie.again();
    assert!(amtool.run(&["silence", "query", "--quiet"]).contains(&id));
    wait_alerts(&vigie, "suppressed");
    wait_two_repeats(&others);
    assert_eq!((firing(&gallery).len(), mail.all().len()), before, "still silenced");
    assert_nothing_twice(&others);

    // The silence ends, the gallery heals, and that is told too.
    amtool.run(&["silence", "expire", &id]);
    wait_alerts(&vigie, "active");
    wait_for("the call after the silence", SOON, || {
        let now = firing(&gallery).len();
        if now > before.0 { Ok(()) } else { Err(now.to_string()) }
    });
    backend.heal();
    gallery.wait("all is well", |body| body["status"] == "resolved");
    mail.wait("a mail that all is well", |mail| {
        mail["subject"].as_str().unwrap_or("").starts_with("[RESOLVED]")
    });
    assert_eq!(prometheus.wait("vigie_slo_met{slo=\"gallery-mean\"} == 1").len(), 1);
    assert_nothing_twice(&gallery);

    // No line was lost on the way and none counted twice, the killing included.
    visitors.stop();
    let lines = traefik.lines();
    wait_for("every line of the log", SOON, || {
        let counted = vigie.sum("vigie_accesslog_requests_total");
        let equal = format!("{counted}") == lines.to_string();
        if equal { Ok(()) } else { Err(format!("{counted} of {lines}")) }
    });
    assert!(vigie.process.terminate().success(), "it stops cleanly");
}

#[test]
fn openmetrics_and_text_say_the_same() {
    let vigie = Vigie::start("");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let query = common::Query::new("GET", "/metrics").header("Accept", accept);
    let open = common::request(vigie.web, &query).unwrap().ok();
    assert!(open.header("content-type").starts_with("application/openmetrics-text"));
    assert!(open.text().ends_with("# EOF\n"));
    let text = get(vigie.web, "/metrics").unwrap().ok();
    assert!(text.header("content-type").starts_with("text/plain; version=0.0.4"));
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("node_"));
        let mut names: Vec<String> = lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    };
    let (open, text) = (series(&open.text()), series(&text.text()));
    assert!(open.len() > 100);
    assert_eq!(open, text);
}
