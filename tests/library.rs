//! vigie as a library: built, reloaded and stopped in a process that is not its own.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use vigie::Vigie;
use vigie::core::alert::{BoxFuture, LabelSet, PostedAlert};
use vigie::core::collect::{Bound, CollectError, Collector, CollectorInfo, Scrape};
use vigie::core::config::{ConfigError, Node};
use vigie::core::encode::Format;
use vigie::core::http::{Listener, Method, Request, StatusCode, header};
use vigie::core::metric::{Family, MetricSink};
use vigie::core::notify::{Notification, Notifier, NotifierDef, NotifierSetting, NotifyError};

static CALLS: Family = Family::counter("test_calls_total", "Calls.", []);

struct Counting(Arc<AtomicU64>);

impl Collector for Counting {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        CALLS.emit(sink, [], self.0.fetch_add(1, Ordering::SeqCst) + 1);
        Ok(())
    }
}

fn counting(calls: &Arc<AtomicU64>) -> Bound {
    let calls = calls.clone();
    Bound::new(CollectorInfo::new("counting", "Counts."), move || {
        Ok(Box::new(Counting(calls.clone())))
    })
}

async fn page(vigie: &Vigie) -> String {
    String::from_utf8(vigie.scrape(Format::Text).await.to_vec()).unwrap()
}

fn get(path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Request::new(Method::GET, path, query)
}

#[tokio::test]
async fn two_instances_share_nothing() {
    let (one, two) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let first = Vigie::builder().collector(counting(&one)).start().await.unwrap();
    let second = Vigie::builder().bundled().collector(counting(&two)).start().await.unwrap();
    page(&first).await;
    assert!(page(&first).await.contains("test_calls_total 2\n"));
    let other = page(&second).await;
    assert!(other.contains("test_calls_total 1\n") && other.contains("node_load1"));
    first.stop().await;
    assert!(page(&second).await.contains("test_calls_total 2\n"));
    second.stop().await;
}

#[tokio::test]
async fn a_foreign_server_asks_for_any_path() {
    let calls = Arc::new(AtomicU64::new(0));
    let vigie = Vigie::builder().collector(counting(&calls)).start().await.unwrap();
    let answer = vigie.answer(Listener::Telemetry, get("/metrics")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.starts_with(b"# HELP test_calls_total"));
    let mut wants = get("/metrics");
    let openmetrics = "application/openmetrics-text;version=1.0.0".parse().unwrap();
    wants.headers.insert(header::ACCEPT, openmetrics);
    wants.headers.insert(header::ACCEPT_ENCODING, "gzip;q=0".parse().unwrap());
    let answer = vigie.answer(Listener::Telemetry, wants).await;
    assert!(answer.body.ends_with(b"# EOF\n"));
    assert!(!answer.headers.contains_key(header::CONTENT_ENCODING));
    let mut wants = get("/metrics");
    wants.headers.insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
    let answer = vigie.answer(Listener::Telemetry, wants).await;
    assert_eq!(answer.headers[header::CONTENT_ENCODING], "gzip");
    for (path, status) in [
        ("/metrics?collect[]=nothing", 400),
        ("/metrics?collect[]=counting&exclude[]=counting", 400),
        ("/metrics?exclude[]=counting", 200),
        ("/-/healthy", 200),
        ("/-/status", 200),
        ("/nowhere", 404),
    ] {
        let answer = vigie.answer(Listener::Telemetry, get(path)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    vigie.stop().await;
}

#[tokio::test]
async fn a_bad_reload_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vigie.yml");
    std::fs::write(&file, "web: {telemetry_path: /one}\n").unwrap();
    let vigie = Vigie::builder().bundled().config_file(&file).start().await.unwrap();
    let status =
        async |path: &str| vigie.answer(Listener::Telemetry, get(path)).await.status.as_u16();
    assert_eq!(status("/one").await, 200);
    std::fs::write(&file, "web: {telemetry_pth: /two}\n").unwrap();
    let error = vigie.reload().await.unwrap_err().to_string();
    assert!(error.ends_with(
        "vigie.yml:1:7: unknown key \"telemetry_pth\"; did you mean \"telemetry_path\"?"
    ));
    assert_eq!((status("/one").await, status("/two").await), (200, 404));
    let told = page(&vigie).await;
    assert!(told.contains("vigie_config_last_reload_successful 0\n"));
    assert!(told.contains("vigie_config_reload_failures_total 1\n"));
    std::fs::write(&file, "web: {telemetry_path: /two}\n").unwrap();
    let reload = Request::new(Method::POST, "/-/reload", "");
    assert_eq!(vigie.answer(Listener::Telemetry, reload).await.status, StatusCode::OK);
    assert_eq!((status("/one").await, status("/two").await), (404, 200));
    vigie.stop().await;
}

/// What the notifier of the test was given.
static SENT: Mutex<Vec<Notification>> = Mutex::new(Vec::new());

struct Keep;

impl Notifier for Keep {
    fn notify<'a>(&'a self, sent: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            SENT.lock().unwrap().push(sent.clone());
            Ok(())
        })
    }
}

static KEEP: NotifierDef = NotifierDef {
    kind: "keep",
    help: "Keeps notifications.",
    globals: &[],
    send_resolved: true,
    build: |_: &Node, _: &NotifierSetting<'_>| -> Result<Box<dyn Notifier>, ConfigError> {
        Ok(Box::new(Keep))
    },
};

#[tokio::test]
async fn a_notifier_of_one_s_own_is_configured_by_its_kind() {
    let config = "alerting:\n  config:\n    route: {receiver: me, group_wait: 1s}\n    \
                  receivers: [{name: me, keep_configs: [{}]}]\n";
    let builder = Vigie::builder().notifier(&KEEP).config_text(config).alerting();
    let vigie = builder.start().await.unwrap();
    let labels = LabelSet::new([("alertname", "Test")]);
    let alert = PostedAlert { labels, ..PostedAlert::default() };
    vigie.alerts().post(vec![alert]).await.unwrap();
    let told = async {
        while SENT.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), told).await.unwrap();
    assert_eq!(SENT.lock().unwrap()[0].alerts[0].name(), "Test");
    vigie.stop().await;
}

#[tokio::test]
async fn without_alerting_alerts_are_refused() {
    let vigie = Vigie::builder().start().await.unwrap();
    let labels = LabelSet::new([("alertname", "Test")]);
    let alert = PostedAlert { labels, ..PostedAlert::default() };
    assert!(vigie.alerts().post(vec![alert]).await.is_err());
    vigie.stop().await;
}
