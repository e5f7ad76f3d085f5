//! A small snapshot for unit tests, and alerts to put into others.
//!
//! Made by hand, so that tests of what is shown need no router. It must not be compiled into the
//! program.

use std::sync::Arc;

use vigie_core::alert::{Alert, AlertSink, BoxFuture, LabelSet, Matchers, PostError, PostedAlert};
use vigie_core::clock::Timestamp;
use vigie_core::route::{
    AlertState, AlertView, GroupView, PostedSilence, Silence, SilenceError, View,
};

use crate::router::AlertRouter;

/// 2026-01-01T00:00:00Z, in seconds.
const START: i64 = 1_767_225_600;

/// So many seconds after the start of 2026.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// An active alert of these labels, sent to `team`.
pub(crate) fn alert(labels: &[(&str, &str)]) -> AlertView {
    annotated(labels, &[])
}

/// The same with annotations.
pub(crate) fn annotated(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> AlertView {
    let alert = Alert {
        labels: LabelSet::new(labels.iter().copied()),
        annotations: LabelSet::new(annotations.iter().copied()),
        starts_at: at(0),
        ends_at: at(300),
        updated_at: at(0),
        generator_url: "http://p/x".into(),
        timeout: true,
    };
    AlertView {
        fingerprint: alert.fingerprint(),
        alert: Arc::new(alert),
        state: AlertState::Active,
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        receivers: vec!["team".into()],
    }
}

/// A group of one receiver.
pub(crate) fn group(receiver: &str, labels: &[(&str, &str)], alerts: Vec<AlertView>) -> GroupView {
    let labels = LabelSet::new(labels.iter().copied());
    GroupView {
        key: format!("{{}}:{labels}"),
        receiver: receiver.into(),
        labels,
        alerts: alerts.into_iter().map(Arc::new).collect(),
        notified_at: None,
        failure: None,
    }
}

/// A silence on `matchers` from `from` to `to`, in seconds after the start.
pub(crate) fn silence(number: u8, matchers: &str, from: i64, to: i64) -> Silence {
    Silence {
        id: format!("00000000-0000-4000-8000-{number:012}"),
        matchers: Matchers::parse(matchers).unwrap(),
        starts_at: at(from),
        ends_at: at(to),
        updated_at: at(0),
        created_by: "me".into(),
        comment: "why".into(),
        annotations: LabelSet::default(),
    }
}

/// A snapshot of these groups and silences.
pub(crate) fn view_of(groups: Vec<GroupView>, silences: Vec<Silence>) -> View {
    let mut alerts: Vec<_> = groups.iter().flat_map(|group| group.alerts.clone()).collect();
    alerts.sort_by_key(|alert| alert.fingerprint);
    View {
        now: at(60),
        version: 1,
        alerts,
        groups,
        silences: silences.into_iter().map(Arc::new).collect(),
        receivers: vec!["team".into(), "page".into()],
        config: "route:\n  receiver: team\n".into(),
        started_at: at(0),
    }
}

/// A critical alert for `page`, a warning for `team` that it inhibits, and three silences.
pub(crate) fn view() -> View {
    let labels = [("alertname", "A"), ("severity", "critical"), ("cluster", "x")];
    let mut critical = annotated(&labels, &[("summary", "s")]);
    critical.receivers = vec!["page".into()];
    let mut warning = alert(&[("alertname", "B"), ("severity", "warning"), ("cluster", "x")]);
    warning.state = AlertState::Suppressed;
    warning.inhibited_by.push(critical.fingerprint);
    let groups = vec![
        group("page", &[("alertname", "A"), ("cluster", "x")], vec![critical]),
        group("team", &[("alertname", "B")], vec![warning]),
    ];
    let silences =
        vec![silence(1, "a=b", 0, 3600), silence(2, "a=b", 600, 3600), silence(3, "a=b", 0, 30)];
    view_of(groups, silences)
}

/// A router that always knows [`view`], or one whose every answer is a failure.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) broken: bool,
}

impl AlertSink for Scripted {
    fn post<'a>(&'a self, _alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { if self.broken { Err(PostError::Closed) } else { Ok(()) } })
    }
}

impl AlertRouter for Scripted {
    fn view(&self) -> BoxFuture<'_, Result<Arc<View>, PostError>> {
        Box::pin(async { if self.broken { Err(PostError::Closed) } else { Ok(Arc::new(view())) } })
    }

    fn set_silence(&self, _silence: PostedSilence) -> BoxFuture<'_, Result<String, SilenceError>> {
        Box::pin(async {
            if self.broken {
                return Err(SilenceError::Storage { what: "disk".into(), full: true });
            }
            Ok("00000000-0000-4000-8000-000000000009".into())
        })
    }

    fn expire_silence<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SilenceError>> {
        Box::pin(async move {
            let known = view().silences.iter().any(|silence| silence.id == id);
            if known { Ok(()) } else { Err(SilenceError::NotFound(id.into())) }
        })
    }
}
