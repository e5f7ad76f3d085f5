//! What is sent: a group of alerts, once, for a reason.
//!
//! The router makes it, templates and notifiers read it; its fields are those of Alertmanager's
//! webhook and template data. It must not know how it is sent.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::alert::{Alert, LabelSet};

/// Firing or resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one alert fires.
    Firing,
    /// None does.
    Resolved,
}

impl Status {
    /// The word in templates and payloads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        }
    }
}

/// Why a notification is sent (Alertmanager 0.32's `notification_reason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// Nothing was sent for this group before.
    #[serde(rename = "first notification")]
    FirstNotification,
    /// An alert joined.
    #[serde(rename = "new alerts added")]
    NewAlerts,
    /// Some alerts ended.
    #[serde(rename = "some alerts resolved")]
    SomeResolved,
    /// All alerts ended.
    #[serde(rename = "all alerts resolved")]
    AllResolved,
    /// `repeat_interval` passed.
    #[serde(rename = "repeat interval elapsed")]
    RepeatInterval,
}

/// A group of alerts for one integration of one receiver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notification {
    /// Name of the receiver.
    pub receiver: String,
    /// `{route}:{group labels}`, equal to Alertmanager's to the byte.
    pub group_key: String,
    /// The labels the group is grouped by.
    pub group_labels: LabelSet,
    /// The alerts, firing and resolved, sorted by job, instance, then all labels. When
    /// `send_resolved` is off only the firing ones.
    pub alerts: Vec<Arc<Alert>>,
    /// The time against which `alerts` fire or are resolved.
    pub now: Timestamp,
    /// Why it is sent.
    pub reason: Reason,
    /// Where a reader finds the view; no trailing slash.
    pub external_url: String,
}

impl Notification {
    /// A notification.
    #[must_use]
    pub fn new(receiver: String, group_key: String, reason: Reason, now: Timestamp) -> Self {
        Notification {
            receiver,
            group_key,
            group_labels: LabelSet::default(),
            alerts: Vec::new(),
            now,
            reason,
            external_url: String::new(),
        }
    }

    /// Firing when any alert fires.
    #[must_use]
    pub fn status(&self) -> Status {
        let firing = self.alerts.iter().any(|alert| !alert.is_resolved(self.now));
        if firing { Status::Firing } else { Status::Resolved }
    }

    /// Labels with the same value on each of `alerts`.
    #[must_use]
    pub fn common_labels(alerts: &[Arc<Alert>]) -> LabelSet {
        common(alerts, |alert| &alert.labels)
    }

    /// Annotations with the same value on each of `alerts`.
    #[must_use]
    pub fn common_annotations(alerts: &[Arc<Alert>]) -> LabelSet {
        common(alerts, |alert| &alert.annotations)
    }
}

fn common(alerts: &[Arc<Alert>], set: impl Fn(&Alert) -> &LabelSet) -> LabelSet {
    let Some(first) = alerts.first() else { return LabelSet::default() };
    let shared = |name: &str, value: &str| alerts.iter().all(|a| set(a).get(name) == value);
    set(first).iter().filter(|(name, value)| shared(name, value)).collect()
}
