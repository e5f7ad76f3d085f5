//! State files go to Alertmanager and come from it: each side silences what the other was told to
//! silence, and repeats nothing the other has said. Needs Debian's prometheus-alertmanager.

#![cfg(feature = "runtime")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what cannot be done is a failed test, in full"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Inbox, Proc, SOON, free_port, get, post, program, wait_for};
use serde_json::{Value, json};
use vigie_core::alert::{AlertSink, BoxFuture, LabelSet, Matchers, PostedAlert};
use vigie_core::clock::{self, SystemClock, Timestamp};
use vigie_core::config::parse_yaml;
use vigie_core::notify::{Notification, Notifier, NotifierDef, NotifyError};
use vigie_core::route::{PostedSilence, RouteConfig, Router, RouterHandle};
use vigie_core::storage::Storage;

/// The same configuration for both, but for where the webhook goes.
fn config(url: &str) -> String {
    format!(
        r#"
global: {{resolve_timeout: 5m}}
route:
  receiver: r
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
  - matchers: ['kind=~"a|b"', 'odd!="x\"y	z"']
    group_by: [alertname, text]
receivers:
- name: r
  webhook_configs: [{{url: '{url}'}}]
"#
    )
}

fn labels(name: &str) -> LabelSet {
    LabelSet::new([("alertname", name), ("kind", "a"), ("text", "q\t\"é\u{200b}\\")])
}

/// Group keys of what vigie's receiver got.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Notifier for Heard {
    fn notify<'a>(&'a self, said: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        self.0.lock().unwrap().push(said.group_key.clone());
        Box::pin(async { Ok(()) })
    }
}

thread_local! {
    /// What the receiver built by this test's thread writes to.
    static HEARD: Heard = Heard::default();
}

static DEF: NotifierDef = NotifierDef {
    kind: "webhook",
    help: "keeps what it gets",
    globals: &[],
    send_resolved: true,
    build: |_, _| Ok(Box::new(HEARD.with(Heard::clone))),
};

fn vigie(dir: &Path) -> (RouterHandle, Heard) {
    let node = parse_yaml("alertmanager.yml", &config("http://nowhere.invalid/")).unwrap();
    let config = RouteConfig::read(&node, &[&DEF]).unwrap();
    let storage = Storage::open(dir).unwrap();
    let router = Router::start(config, storage, Arc::new(SystemClock), "http://v".into()).unwrap();
    (router, HEARD.with(Heard::clone))
}

async fn fire(router: &RouterHandle, name: &str) {
    let alert = PostedAlert { labels: labels(name), ..PostedAlert::default() };
    router.post(vec![alert]).await.unwrap();
}

async fn resolve(router: &RouterHandle, name: &str) {
    let ends_at = Some(Timestamp::now());
    let alert = PostedAlert { labels: labels(name), ends_at, ..PostedAlert::default() };
    router.post(vec![alert]).await.unwrap();
}

/// Waits without blocking the runtime.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Alertmanager {
    process: Proc,
    address: SocketAddr,
    inbox: Inbox,
}

impl Alertmanager {
    fn start(dir: &Path) -> Self {
        let inbox = Inbox::start();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = dir.join("alertmanager.yml");
        std::fs::write(&file, config(&inbox.url())).unwrap();
        let process = Proc::start(
            "alertmanager",
            Command::new(program("prometheus-alertmanager"))
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", dir.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address="),
        );
        wait_for("Alertmanager", SOON, || get(address, "/-/ready").map(common::Answer::ok));
        Alertmanager { process, address, inbox }
    }

    fn fire(&self, name: &str) {
        self.post(&json!([{ "labels": labels(name) }]));
    }

    fn resolve(&self, name: &str) {
        self.post(&json!([{ "labels": labels(name), "endsAt": Timestamp::now() }]));
    }

    fn post(&self, alerts: &Value) {
        let answer = post(self.address, "/api/v2/alerts", alerts).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn get(&self, path: &str) -> Value {
        get(self.address, path).unwrap().ok().json()
    }

    /// Names of the alerts it told its receiver about.
    fn heard(&self) -> Vec<String> {
        let all = self.inbox.all();
        all.iter().map(|body| body["groupLabels"]["alertname"].to_string()).collect()
    }
}

#[tokio::test]
async fn alertmanager_goes_on_from_what_vigie_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (router, heard) = vigie(dir.path());
    fire(&router, "Told").await;
    until("the first notification", || !heard.all().is_empty()).await;
    let now = Timestamp::now();
    let silence = PostedSilence {
        id: String::new(),
        matchers: Matchers::parse(r#"alertname="Silenced",text=~"q.*",kind!="c""#).unwrap(),
        starts_at: now,
        ends_at: clock::add(now, Duration::from_secs(3600)),
        created_by: "mé".into(),
        comment: "a \"b\"\n".into(),
        annotations: LabelSet::new([("ticket", "1")]),
    };
    let id = router.set_silence(silence).await.unwrap();
    router.stop().await;

    let alertmanager = Alertmanager::start(dir.path());
    let silences = alertmanager.get("/api/v2/silences");
    assert_eq!(silences[0]["id"], id.as_str());
    assert_eq!(silences[0]["status"]["state"], "active");
    assert_eq!(
        (&silences[0]["createdBy"], &silences[0]["comment"]),
        (&json!("mé"), &json!("a \"b\"\n"))
    );
    assert_eq!(silences[0]["matchers"].as_array().unwrap().len(), 3);
    alertmanager.fire("Told");
    alertmanager.fire("Silenced");
    wait_for("a silenced alert", SOON, || {
        let alerts = alertmanager.get("/api/v2/alerts?silenced=true&active=false");
        (alerts[0]["status"]["silencedBy"][0] == id.as_str()).then_some(()).ok_or(alerts)
    });
    alertmanager.fire("New");
    alertmanager.inbox.wait("a new alert", |body| body["groupLabels"]["alertname"] == "New");
    // The second look at "New" comes after the first at the others.
    alertmanager.resolve("New");
    alertmanager.inbox.wait("its end", |body| body["status"] == "resolved");
    assert_eq!(alertmanager.heard(), ["\"New\"", "\"New\""]);
    let said = alertmanager.inbox.all()[0]["groupKey"].to_string();
    let ours = serde_json::to_string(&heard.all()[0]).unwrap();
    assert_eq!(said.replace("New", "Told"), ours, "group keys are equal to the byte");
}

#[tokio::test]
async fn vigie_goes_on_from_what_alertmanager_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut alertmanager = Alertmanager::start(dir.path());
    alertmanager.fire("Told");
    alertmanager.inbox.wait("the first notification", |_| true);
    let now = Timestamp::now();
    let silence = json!({
        "matchers": [{ "name": "alertname", "value": "Silenced", "isRegex": false }],
        "startsAt": now, "endsAt": clock::add(now, Duration::from_secs(3600)),
        "createdBy": "me", "comment": "why",
    });
    let posted = post(alertmanager.address, "/api/v2/silences", &silence).unwrap().ok().json();
    assert!(alertmanager.process.terminate().success());

    let (router, heard) = vigie(dir.path());
    let view = router.view().await.unwrap();
    assert_eq!(json!(view.silences[0].id), posted["silenceID"]);
    fire(&router, "Told").await;
    fire(&router, "Silenced").await;
    fire(&router, "New").await;
    until("a new alert", || !heard.all().is_empty()).await;
    let view = router.view().await.unwrap();
    let silenced = view.alerts.iter().find(|alert| alert.alert.name() == "Silenced").unwrap();
    assert_eq!(json!(silenced.silenced_by[0]), posted["silenceID"]);
    // The second look at "New" comes after the first at "Told".
    resolve(&router, "New").await;
    until("the end of the new alert", || heard.all().len() > 1).await;
    let all = heard.all();
    assert!(all.iter().all(|key| key.contains("New")), "{all:?}");
    router.stop().await;
}

#[test]
fn amtool_reads_the_configuration_that_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let text = config("http://me:hunter2@example.com/hunter2")
        + "inhibit_rules:\n- source_matchers: [a=b]\n  target_match: {c: d}\n  equal: [e]\n";
    let shown = |text: &str| {
        let node = parse_yaml("a.yml", text).unwrap();
        RouteConfig::read(&node, &[&DEF]).unwrap().plan().original.clone()
    };
    let none = RouteConfig::none().plan().original.clone();
    for shown in [shown(&text), shown(&shown(&text)), none] {
        assert!(!shown.contains("hunter2"), "{shown}");
        let file = dir.path().join("alertmanager.yml");
        std::fs::write(&file, &*shown).unwrap();
        let output = Command::new(program("amtool")).arg("check-config").arg(&file).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}
