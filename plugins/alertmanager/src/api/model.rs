//! The JSON of the API: what is posted and what is shown.
//!
//! Field names, their order and which are left out are Alertmanager's (`api/v2/openapi.yaml`). It
//! must not decide which alerts or silences are shown.

use serde::{Deserialize, Serialize};
use vigie_core::alert::{Fingerprint, LabelSet};
use vigie_core::clock::Timestamp;
use vigie_core::route::{AlertState, AlertView, Silence, SilenceState};

use super::time::{Millis, Posted};

/// `gettableAlert`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GettableAlert<'a> {
    annotations: &'a LabelSet,
    ends_at: Millis,
    fingerprint: Fingerprint,
    receivers: Vec<Receiver<'a>>,
    starts_at: Millis,
    status: AlertStatus<'a>,
    updated_at: Millis,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    labels: &'a LabelSet,
}

/// `alertStatus`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus<'a> {
    inhibited_by: &'a [Fingerprint],
    muted_by: &'a [String],
    silenced_by: &'a [String],
    state: AlertState,
}

/// `receiver`.
#[derive(Serialize)]
pub(super) struct Receiver<'a> {
    pub(super) name: &'a str,
}

impl<'a> From<&'a AlertView> for GettableAlert<'a> {
    fn from(view: &'a AlertView) -> Self {
        let alert = &view.alert;
        GettableAlert {
            annotations: &alert.annotations,
            ends_at: Millis(alert.ends_at),
            fingerprint: view.fingerprint,
            receivers: view.receivers.iter().map(|name| Receiver { name }).collect(),
            starts_at: Millis(alert.starts_at),
            status: AlertStatus {
                inhibited_by: &view.inhibited_by,
                muted_by: &view.muted_by,
                silenced_by: &view.silenced_by,
                state: view.state,
            },
            updated_at: Millis(alert.updated_at),
            generator_url: &alert.generator_url,
            labels: &alert.labels,
        }
    }
}

/// `alertGroup`.
#[derive(Serialize)]
pub(super) struct AlertGroup<'a> {
    pub(super) alerts: Vec<GettableAlert<'a>>,
    pub(super) labels: &'a LabelSet,
    pub(super) receiver: Receiver<'a>,
}

/// `gettableSilence`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GettableSilence<'a> {
    id: &'a str,
    status: SilenceStatus,
    updated_at: Millis,
    #[serde(skip_serializing_if = "LabelSet::is_empty")]
    annotations: &'a LabelSet,
    comment: &'a str,
    created_by: &'a str,
    ends_at: Millis,
    matchers: Vec<GettableMatcher<'a>>,
    starts_at: Millis,
}

#[derive(Serialize)]
struct SilenceStatus {
    state: SilenceState,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GettableMatcher<'a> {
    is_equal: bool,
    is_regex: bool,
    name: &'a str,
    value: &'a str,
}

impl<'a> GettableSilence<'a> {
    pub(super) fn new(silence: &'a Silence, now: Timestamp) -> Self {
        let matchers = silence.matchers.0.iter().map(|matcher| GettableMatcher {
            is_equal: matcher.op().is_equal(),
            is_regex: matcher.op().is_regex(),
            name: matcher.name(),
            value: matcher.value(),
        });
        GettableSilence {
            id: &silence.id,
            status: SilenceStatus { state: silence.state(now) },
            updated_at: Millis(silence.updated_at),
            annotations: &silence.annotations,
            comment: &silence.comment,
            created_by: &silence.created_by,
            ends_at: Millis(silence.ends_at),
            matchers: matchers.collect(),
            starts_at: Millis(silence.starts_at),
        }
    }
}

/// `postableAlert`; what is missing is found after reading, so that the error can name it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostableAlert {
    pub(super) labels: Option<LabelSet>,
    pub(super) annotations: Option<LabelSet>,
    pub(super) starts_at: Option<Posted>,
    pub(super) ends_at: Option<Posted>,
    #[serde(rename = "generatorURL")]
    pub(super) generator_url: Option<String>,
}

/// `postableSilence`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostableSilence {
    pub(super) id: Option<String>,
    pub(super) matchers: Option<Vec<PostableMatcher>>,
    pub(super) starts_at: Option<Posted>,
    pub(super) ends_at: Option<Posted>,
    pub(super) created_by: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) annotations: Option<LabelSet>,
}

/// `matcher`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostableMatcher {
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
    pub(super) is_regex: Option<bool>,
    pub(super) is_equal: Option<bool>,
}
