//! A snapshot of all the router knows, for the API and the page.
//!
//! Made by the owner of the machine on demand and shared by pointer, so that no reader ever holds
//! a lock. It must not know how it will be shown.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Silence;
use crate::alert::{Alert, Fingerprint, LabelSet};

/// Everything at one time.
#[derive(Clone, Debug)]
pub struct View {
    /// When the snapshot was made.
    pub now: Timestamp,
    /// Grows with every change; equal versions are equal snapshots.
    pub version: u64,
    /// Alerts that fire, by fingerprint.
    pub alerts: Vec<Arc<AlertView>>,
    /// Groups with at least one firing alert, by labels, then receiver.
    pub groups: Vec<GroupView>,
    /// All silences known: active by end, pending by start, expired by end, newest first.
    pub silences: Vec<Arc<Silence>>,
    /// Names of the receivers in the order of the configuration.
    pub receivers: Vec<String>,
    /// The configuration with defaults filled in and secrets hidden; amtool parses it.
    pub config: Arc<str>,
    /// When the router started.
    pub started_at: Timestamp,
}

/// Why an alert is (not) notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Not yet seen by the routing tree.
    Unprocessed,
    /// Notified.
    Active,
    /// Silenced, inhibited or muted.
    Suppressed,
}

/// An alert and what is done about it.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// The alert.
    pub alert: Arc<Alert>,
    /// Its number.
    pub fingerprint: Fingerprint,
    /// Its state.
    pub state: AlertState,
    /// Ids of the active silences that match.
    pub silenced_by: Vec<String>,
    /// Alerts that inhibit it.
    pub inhibited_by: Vec<Fingerprint>,
    /// Names of the time intervals that mute its routes.
    pub muted_by: Vec<String>,
    /// Receivers its routes lead to.
    pub receivers: Vec<Arc<str>>,
}

/// One aggregation group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The group key.
    pub key: String,
    /// The receiver.
    pub receiver: Arc<str>,
    /// The labels the group is grouped by.
    pub labels: LabelSet,
    /// Its firing alerts, by fingerprint.
    pub alerts: Vec<Arc<AlertView>>,
    /// When it was last notified successfully, if ever.
    pub notified_at: Option<Timestamp>,
    /// The last failure since then: integration and error, without secrets.
    pub failure: Option<String>,
}
