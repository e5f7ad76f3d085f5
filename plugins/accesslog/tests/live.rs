//! The plugin as vigie runs it: a service, a collector, an alert sink and a real file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says by panicking that it failed")]
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, watch};
use vigie_accesslog::PLUGIN;
use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::clock::SystemClock;
use vigie_core::collect::{Collector, Scrape};
use vigie_core::config::{Flags, Node, parse_yaml};
use vigie_core::metric::{Desc, MetricSink, Sample, Value};
use vigie_core::plugin::{ServiceContext, Setup};
use vigie_core::storage::Storage;

/// Keeps what was posted.
#[derive(Default)]
struct Inbox(Mutex<Vec<PostedAlert>>);

impl AlertSink for Inbox {
    fn post<'a>(&'a self, alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        self.0.lock().unwrap().extend(alerts);
        Box::pin(async { Ok(()) })
    }
}

/// Samples by name and labels; histograms by their count.
#[derive(Default)]
struct Samples {
    family: String,
    values: BTreeMap<String, f64>,
}

impl MetricSink for Samples {
    fn family(&mut self, desc: &Desc<'_>) {
        desc.name.clone_into(&mut self.family);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let labels: Vec<String> = sample.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let value = match sample.value {
            Value::U64(value) => value as f64,
            Value::F64(value) => value,
            Value::Histogram(view) => view.count as f64,
            _ => f64::NAN,
        };
        let known = self.values.insert(format!("{}{{{}}}", self.family, labels.join(",")), value);
        assert_eq!(known, None, "a series is written once");
    }
}

/// A running plugin.
struct Running {
    collector: Box<dyn Collector>,
    inbox: Arc<Inbox>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(yaml: &str, storage: Storage) -> Self {
        let node = parse_yaml("vigie.yml", yaml).unwrap();
        Running::with(&node, Flags::new(PLUGIN.flags), storage)
    }

    fn with(node: &Node, flags: Flags, storage: Storage) -> Self {
        let inbox = Arc::new(Inbox::default());
        let mut setup = Setup::new(node, Arc::new(flags), inbox.clone());
        setup.storage = storage;
        let mut parts = (PLUGIN.build)(&setup).unwrap();
        let (stop, stopped) = watch::channel(false);
        let context =
            ServiceContext::new(Arc::new(SystemClock), stopped, Arc::new(Semaphore::new(0)));
        let service = parts.services.pop().unwrap();
        let task = tokio::spawn(async move { service.run(context).await.unwrap() });
        let collector = (parts.collectors.pop().unwrap().build)().unwrap();
        Running { collector, inbox, stop, task }
    }

    fn scrape(&mut self) -> BTreeMap<String, f64> {
        let mut samples = Samples::default();
        let scrape = Scrape::new(SystemTime::now(), Instant::now() + Duration::from_secs(1));
        // Before the log has been read there is no data.
        drop(self.collector.collect(&scrape, &mut samples));
        samples.values
    }

    /// Polls until a series has a value.
    async fn wait_for(&mut self, series: &str, value: f64) -> BTreeMap<String, f64> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let samples = self.scrape();
            if samples.get(series) == Some(&value) {
                return samples;
            }
            assert!(Instant::now() < deadline, "{series} is not {value} in {samples:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_for_alert(&self, is_it: impl Fn(&PostedAlert) -> bool) -> PostedAlert {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(alert) = self.inbox.0.lock().unwrap().iter().find(|alert| is_it(alert)) {
                return alert.clone();
            }
            assert!(Instant::now() < deadline, "posted: {:#?}", self.inbox.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// As `kill -9`: nothing is stored any more.
    async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

fn write(path: &Path, code: u16, count: usize) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for _ in 0..count {
        let date = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
        writeln!(
            file,
            "::1 - - [{date}] \"GET / HTTP/1.1\" {code} 5 \"-\" \"-\" 1 \"gallery@file\" \"http://b\" 3ms"
        )
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_named_by_flag_is_counted_as_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let mut flags = Flags::new(PLUGIN.flags);
    flags.set("accesslog.file", vec![path.display().to_string()]);
    let mut vigie = Running::with(&Node::null("vigie.yml"), flags, Storage::memory());
    let lines = format!("vigie_accesslog_lines_total{{source={}}}", path.display());
    vigie.wait_for(&lines, 0.0).await;
    write(&path, 200, 3);
    vigie.wait_for(&lines, 3.0).await;
    std::fs::rename(&path, dir.path().join("access.log.1")).unwrap();
    write(&path, 404, 2);
    let samples = vigie.wait_for(&lines, 5.0).await;
    let get = |name: &str| {
        let key = name.replace("SOURCE", &format!("source={}", path.display()));
        samples.get(&key).copied().unwrap_or_else(|| panic!("{key} in {samples:#?}"))
    };
    let requests = "vigie_accesslog_requests_total";
    assert_eq!(get(&format!("{requests}{{SOURCE,service=gallery@file,code=404,method=GET}}")), 2.0);
    assert_eq!(get("vigie_accesslog_request_duration_seconds{SOURCE,service=gallery@file}"), 5.0);
    assert_eq!(get("vigie_accesslog_rotations_total{SOURCE,kind=rename}"), 1.0);
    assert_eq!(get("vigie_accesslog_unread_bytes{SOURCE}"), 0.0);
    vigie.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_becomes_an_alert_and_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let yaml = format!(
        "accesslog: [{{name: web, path: '{}'}}]\nslo:\n  interval: 1s\n  objectives:\n    - {{name: errors, errors: {{codes: [5xx], target: 90%}}, window: 2s, min_events: 3}}\n",
        path.display()
    );
    let mut vigie = Running::start(&yaml, Storage::memory());
    write(&path, 502, 5);
    let alert = vigie.wait_for_alert(|alert| alert.labels.get("slo") == "errors").await;
    assert_eq!(alert.labels.get("alertname"), "VigieSloBroken");
    assert!(alert.ends_at > alert.starts_at, "it fires");
    let samples = vigie.wait_for("vigie_slo_events_total{slo=errors,verdict=bad}", 5.0).await;
    assert_eq!(samples["vigie_slo_met{slo=errors}"], 0.0);
    assert_eq!(samples["vigie_slo_error_ratio{slo=errors,window=30d}"], 1.0);
    let now = || jiff::Timestamp::now();
    vigie.wait_for_alert(|alert| alert.ends_at.is_some_and(|end| end <= now())).await;
    vigie.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_continued_exactly() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("access.log");
    let yaml = format!("accesslog: [{{name: web, path: '{}'}}]\n", path.display());
    let storage = || Storage::open(state.path()).unwrap();
    let lines = "vigie_accesslog_lines_total{source=web}";
    let mut vigie = Running::start(&yaml, storage());
    write(&path, 200, 10);
    vigie.wait_for(lines, 10.0).await;
    vigie.stop().await;

    let mut vigie = Running::start(&yaml, storage());
    write(&path, 200, 5);
    vigie.wait_for(lines, 15.0).await;
    vigie.kill().await;

    write(&path, 200, 1);
    let mut vigie = Running::start(&yaml, storage());
    vigie.wait_for(lines, 16.0).await;
    vigie.stop().await;
}
