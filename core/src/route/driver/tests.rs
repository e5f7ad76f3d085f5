//! The running router with a scripted receiver and a clock that stands still unless all wait.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::*;
use crate::alert::{AlertSink, BoxFuture, LabelSet, Matchers, PostError};
use crate::clock::{self, Clock};
use crate::config::parse_yaml;
use crate::notify::{Notification, Notifier, NotifierDef, NotifyError, Reason, Retry};
use crate::route::silence::SilenceState;

/// Follows tokio's clock.
struct TokioClock(Instant);

const START: i64 = 1_000_000;

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        clock::add(Timestamp::from_second(START).unwrap(), self.0.elapsed())
    }
}

/// What the receiver does with a try.
enum Answer {
    Fail(Retry),
    Hang,
    Panic,
}

/// What the receiver will do, and what it took: seconds since the start, reason, alerts.
#[derive(Default)]
struct Inbox {
    script: VecDeque<Answer>,
    tries: Vec<u64>,
    got: Vec<(u64, Reason, usize)>,
}

struct Receiver(Arc<Mutex<Inbox>>, Instant);

impl Notifier for Receiver {
    fn notify<'a>(&'a self, said: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            let second = self.1.elapsed().as_secs();
            let answer = {
                let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                inbox.tries.push(second);
                inbox.script.pop_front()
            };
            match answer {
                None => {}
                Some(Answer::Fail(retry)) => {
                    let (reason, what) = (NotifyReason::ServerError, "it said 503".into());
                    return Err(NotifyError { retry, reason, what });
                }
                Some(Answer::Hang) => std::future::pending().await,
                Some(Answer::Panic) => panic!("a notifier that panics"),
            }
            let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.got.push((second, said.reason, said.alerts.len()));
            Ok(())
        })
    }
}

static DEF: NotifierDef = NotifierDef {
    kind: "webhook",
    help: "",
    globals: &[],
    send_resolved: true,
    build: |_, _| Ok(Box::new(Nobody)),
};

struct Nobody;

impl Notifier for Nobody {
    fn notify<'a>(&'a self, _: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A router, its receiver, and the time they share.
struct Lab {
    router: RouterHandle,
    inbox: Arc<Mutex<Inbox>>,
    start: Instant,
}

impl Lab {
    fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Lab::with(script, Storage::memory(), Instant::now())
    }

    fn with(script: impl IntoIterator<Item = Answer>, storage: Storage, start: Instant) -> Self {
        let inbox = Inbox { script: script.into_iter().collect(), ..Inbox::default() };
        let inbox = Arc::new(Mutex::new(inbox));
        let notifier: Arc<dyn Notifier> = Arc::new(Receiver(inbox.clone(), start));
        let config = config().with_notifier(&notifier);
        let clock = Arc::new(TokioClock(start));
        let router = Router::start(config, storage, clock, "http://view".into()).unwrap();
        Lab { router, inbox, start }
    }

    async fn at(&self, second: u64) {
        // One second more than asked, so that what is due then has happened.
        tokio::time::sleep_until(self.start + Duration::from_secs(second + 1)).await;
    }

    async fn fire(&self, name: &str) {
        let labels = LabelSet::new([("alertname", name)]);
        let ends_at = Some(clock::add(Timestamp::from_second(START).unwrap(), DAY));
        let alert = PostedAlert { labels, ends_at, ..PostedAlert::default() };
        self.router.post(vec![alert]).await.unwrap();
    }

    fn got(&self) -> Vec<(u64, Reason, usize)> {
        self.inbox.lock().unwrap().got.clone()
    }

    fn tries(&self) -> Vec<u64> {
        self.inbox.lock().unwrap().tries.clone()
    }

    fn metric(&self, name: &str, labels: &str) -> f64 {
        let families = self.router.metrics().gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let metric = family.get_metric().iter().find(|metric| {
            let pairs = metric.get_label().iter();
            let shown: Vec<_> = pairs.map(|l| format!("{}={}", l.name(), l.value())).collect();
            shown.join(",") == labels
        });
        let metric = metric.unwrap_or_else(|| panic!("no {name}{{{labels}}}"));
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn config() -> RouteConfig {
    let text = "route: {receiver: r, group_by: [alertname]}\n\
        receivers: [{name: r, webhook_configs: [{}]}]";
    RouteConfig::read(&parse_yaml("a.yml", text).unwrap(), &[&DEF]).unwrap()
}

fn silence(matchers: &str) -> PostedSilence {
    let start = Timestamp::from_second(START).unwrap();
    PostedSilence {
        id: String::new(),
        matchers: Matchers::parse(matchers).unwrap(),
        starts_at: start,
        ends_at: clock::add(start, DAY),
        created_by: "me".into(),
        comment: "why".into(),
        annotations: LabelSet::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_told_once_and_repeated() {
    let lab = Lab::new([]);
    lab.fire("A").await;
    lab.at(29).await;
    assert_eq!(lab.got(), []);
    lab.at(4 * 3600 + 60).await;
    let expected = [(30, Reason::FirstNotification, 1), (30 + 4 * 3600, Reason::RepeatInterval, 1)];
    assert_eq!(lab.got(), expected);
    assert_eq!(lab.metric("alertmanager_notifications_total", "integration=webhook"), 2.0);
    assert_eq!(lab.metric("alertmanager_alerts", "state=active"), 1.0);
    assert_eq!(lab.metric("alertmanager_alerts_received_total", "status=firing,version=v2"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_later_each_time() {
    let lab = Lab::new((0..3).map(|_| Answer::Fail(Retry::Backoff)));
    lab.fire("A").await;
    lab.at(60).await;
    assert_eq!(lab.tries().len(), 4);
    assert!(lab.got()[0].0 < 30 + 5, "0.5, 0.75 and 1.1 s, half as long again at most");
    let failed = "alertmanager_notification_requests_failed_total";
    assert_eq!(lab.metric(failed, "integration=webhook"), 3.0);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_may_say_when_and_may_say_never() {
    let lab = Lab::new([
        Answer::Fail(Retry::After(Duration::from_secs(100))),
        Answer::Fail(Retry::Never),
    ]);
    lab.fire("A").await;
    lab.at(329).await;
    assert_eq!(lab.tries(), [30, 130]);
    let failure = lab.router.view().await.unwrap().groups[0].failure.clone();
    assert_eq!(failure.as_deref(), Some("webhook: it said 503"));
    let failed = "alertmanager_notifications_failed_total";
    assert_eq!(lab.metric(failed, "integration=webhook,reason=serverError"), 1.0);
    lab.at(330).await;
    assert_eq!(lab.got(), [(330, Reason::FirstNotification, 1)], "at the next look");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_or_panics_costs_its_group_one_look() {
    let lab = Lab::new([Answer::Hang, Answer::Panic]);
    lab.fire("A").await;
    lab.at(329).await;
    lab.fire("B").await;
    lab.at(700).await;
    let failed = "alertmanager_notifications_failed_total";
    let reason = "integration=webhook,reason=contextDeadlineExceeded";
    assert_eq!(lab.metric(failed, reason), 1.0);
    assert_eq!(lab.metric(failed, "integration=webhook,reason=other"), 1.0);
    assert_eq!(lab.got().len(), 2, "both groups are told in the end: {:?}", lab.got());
}

#[tokio::test(start_paused = true)]
async fn silences_are_made_shown_and_expired() {
    let lab = Lab::new([]);
    lab.fire("A").await;
    let id = lab.router.set_silence(silence("alertname=A")).await.unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"), "a UUID of version 4");
    lab.at(40).await;
    assert_eq!(lab.got(), []);
    let view = lab.router.view().await.unwrap();
    assert_eq!(view.alerts[0].silenced_by, std::slice::from_ref(&id));
    lab.router.expire_silence(&id).await.unwrap();
    let view = lab.router.view().await.unwrap();
    assert_eq!(view.silences[0].state(view.now), SilenceState::Expired);
    assert!(matches!(lab.router.expire_silence("x").await, Err(SilenceError::NotFound(_))));
    lab.at(330).await;
    assert_eq!(lab.got(), [(330, Reason::FirstNotification, 1)]);
}

#[tokio::test(start_paused = true)]
async fn bad_alerts_are_refused_and_the_others_taken() {
    let lab = Lab::new([]);
    let good = PostedAlert { labels: LabelSet::new([("a", "b")]), ..PostedAlert::default() };
    let posted = lab.router.post(vec![PostedAlert::default(), good]).await;
    assert!(matches!(posted, Err(PostError::Refused(errors)) if errors.len() == 1));
    assert_eq!(lab.router.view().await.unwrap().alerts.len(), 1);
    assert_eq!(lab.metric("alertmanager_alerts_invalid_total", "version=v2"), 1.0);
}

/// Copies a state directory as a `kill -9` would leave it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_loses_no_silence_and_tells_nothing_twice() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = Instant::now();
    let lab = Lab::with([], Storage::open(dir.path()).unwrap(), start);
    lab.fire("A").await;
    lab.at(40).await;
    assert_eq!(lab.got().len(), 1);
    lab.fire("B").await;
    let id = lab.router.set_silence(silence("alertname=C")).await.unwrap();
    copy(dir.path(), killed.path());
    lab.router.stop().await;

    let lab = Lab::with([], Storage::open(killed.path()).unwrap(), start);
    let view = lab.router.view().await.unwrap();
    assert_eq!(view.silences[0].id, id);
    assert_eq!(view.alerts.len(), 2);
    lab.fire("C").await;
    lab.at(3600).await;
    let got: Vec<_> = lab.got().into_iter().map(|(_, reason, _)| reason).collect();
    assert_eq!(got, [Reason::FirstNotification], "only B was not told yet");
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_snapshots_and_refuses_more() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::with([], Storage::open(dir.path()).unwrap(), Instant::now());
    lab.fire("A").await;
    lab.router.set_silence(silence("a=b")).await.unwrap();
    lab.router.stop().await;
    assert_eq!(std::fs::read(dir.path().join("changes")).unwrap().len(), 0);
    assert!(std::fs::read(dir.path().join("silences")).unwrap().len() > 50);
    assert!(matches!(lab.router.view().await, Err(PostError::Closed)));
    assert_eq!(lab.router.set_silence(silence("a=b")).await, Err(SilenceError::Closed));
    lab.router.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_counted_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::with([], Storage::open(dir.path()).unwrap(), Instant::now());
    lab.fire("A").await;
    // In the way of every snapshot of the alerts.
    std::fs::create_dir(dir.path().join(".alerts.tmp")).unwrap();
    lab.at(16 * 60).await;
    assert!(lab.metric("vigie_storage_failures_total", "") >= 1.0);
    assert!(!dir.path().join("alerts").exists());
    lab.router.set_silence(silence("a=b")).await.unwrap();
    std::fs::remove_dir(dir.path().join(".alerts.tmp")).unwrap();
    lab.at(17 * 60).await;
    assert!(dir.path().join("alerts").exists(), "the next snapshot mends it");
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_known() {
    let lab = Lab::new([]);
    lab.fire("A").await;
    lab.router.set_silence(silence("a=b")).await.unwrap();
    lab.at(40).await;
    lab.router.reload_failed();
    assert_eq!(lab.metric("alertmanager_config_last_reload_successful", ""), 0.0);
    lab.router.reload(RouteConfig::none()).await;
    assert_eq!(lab.metric("alertmanager_config_last_reload_successful", ""), 1.0);
    let view = lab.router.view().await.unwrap();
    assert_eq!((view.alerts.len(), view.silences.len()), (1, 1));
    assert_eq!(view.receivers, ["default"]);
    assert_eq!(*view.alerts[0].receivers[0], *"default");
}
