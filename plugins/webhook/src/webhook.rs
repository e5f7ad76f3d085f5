//! `webhook_configs`: a group of alerts as JSON, version 4.
//!
//! Fields and their order are Alertmanager's, because programs were written against them. It must
//! not know other services.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use vigie_core::alert::{Alert, BoxFuture, Fingerprint, LabelSet};
use vigie_core::clock::Timestamp;
use vigie_core::config::{ConfigError, Node, PromDuration, Secret, SecretSource};
use vigie_core::notify::{
    Notification, Notifier, NotifierDef, NotifierSetting, NotifyError, NotifyReason, Reason, Status,
};
use vigie_core::template::Templates;

use crate::client::post_json;
use crate::http_config::HttpConfig;

/// The kind `webhook`.
pub(crate) const DEF: NotifierDef = NotifierDef {
    kind: "webhook",
    help: "Posts JSON (version 4) to a URL",
    globals: &["http_config"],
    send_resolved: true,
    build,
};

/// A receiver that has not answered by then is tried again.
const DEFAULT_TIMEOUT: PromDuration = PromDuration(std::time::Duration::from_secs(60));

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(rename = "send_resolved")]
    _send_resolved: Option<bool>,
    #[serde(rename = "url")]
    _url: Option<Secret>,
    #[serde(rename = "url_file")]
    _url_file: Option<String>,
    max_alerts: u32,
    timeout: Option<PromDuration>,
    payload: Option<serde::de::IgnoredAny>,
    #[serde(rename = "http_config")]
    _http_config: Option<serde::de::IgnoredAny>,
}

fn build(node: &Node, setting: &NotifierSetting<'_>) -> Result<Box<dyn Notifier>, ConfigError> {
    let written: Written = node.read()?;
    if let (Some(_), Some(at)) = (written.payload, node.get("payload")) {
        return Err(at.error("payload is not supported yet"));
    }
    let url = SecretSource::of(node, "url")?
        .ok_or_else(|| node.error("key \"url\" or \"url_file\" is missing"))?;
    if let (SecretSource::Text(text), Some(at)) = (&url, node.get("url")) {
        check_url(text, setting.templates).map_err(|what| at.error(what))?;
    }
    let nothing = Node::null(node.place.file.clone());
    let http = node.get("http_config").or_else(|| setting.global.get("http_config"));
    let timeout = written.timeout.filter(|timeout| !timeout.0.is_zero()).unwrap_or(DEFAULT_TIMEOUT);
    Ok(Box::new(Webhook {
        url,
        max_alerts: usize::try_from(written.max_alerts).unwrap_or(usize::MAX),
        http: HttpConfig::read(http.unwrap_or(&nothing), timeout)?,
        templates: setting.templates.clone(),
    }))
}

/// A URL with a template in it can only be checked once it is rendered.
fn check_url(url: &Secret, templates: &Templates) -> Result<(), String> {
    if url.expose().contains("{{") {
        return templates.check(url.expose()).map_err(|error| format!("bad template: {error}"));
    }
    parse_url(url.expose()).map(drop)
}

/// The text never quotes the URL.
fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("not a valid URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("not a valid URL: expected http:// or https:// and a host".into()),
    }
}

/// A receiver by webhook.
#[derive(Debug)]
struct Webhook {
    url: SecretSource,
    /// 0: all.
    max_alerts: usize,
    http: HttpConfig,
    templates: Templates,
}

impl Webhook {
    async fn send(&self, notification: &Notification) -> Result<(), NotifyError> {
        let url = self.url.read().map_err(|e| NotifyError::temporary(NotifyReason::Other, e))?;
        let permanent = |what: String| NotifyError::permanent(NotifyReason::Other, what);
        let url = match url.expose() {
            // Where it fails the template may have written half a secret already: no details.
            template if template.contains("{{") => Secret::new(
                self.templates
                    .text(template, notification)
                    .map_err(|_| permanent("the template of the URL failed".into()))?,
            ),
            _ => url,
        };
        let url = parse_url(url.expose()).map_err(permanent)?;
        let body = serde_json::to_vec(&Message::new(notification, self.max_alerts))
            .map_err(|error| permanent(format!("cannot write JSON: {error}")))?;
        post_json(&self.http, url, body).await
    }
}

impl Notifier for Webhook {
    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(self.send(notification))
    }
}

/// Alertmanager's `webhook.Message`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: Status,
    alerts: Vec<MessageAlert<'a>>,
    group_labels: &'a LabelSet,
    common_labels: LabelSet,
    common_annotations: LabelSet,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(rename = "notification_reason")]
    reason: Reason,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAlert<'a> {
    status: Status,
    labels: &'a LabelSet,
    annotations: &'a LabelSet,
    starts_at: Timestamp,
    /// None while it fires: then it is Go's zero time.
    #[serde(serialize_with = "or_zero")]
    ends_at: Option<Timestamp>,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: Fingerprint,
}

fn or_zero<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => time.serialize(to),
        None => to.serialize_str("0001-01-01T00:00:00Z"),
    }
}

impl<'a> Message<'a> {
    fn new(notification: &'a Notification, max_alerts: usize) -> Self {
        let all = &notification.alerts;
        let sent: &[Arc<Alert>] = match max_alerts {
            0 => all,
            max => all.get(..max).unwrap_or(all),
        };
        let alerts: Vec<_> =
            sent.iter().map(|alert| MessageAlert::new(alert, notification.now)).collect();
        let firing = alerts.iter().any(|alert| alert.status == Status::Firing);
        Message {
            receiver: &notification.receiver,
            status: if firing { Status::Firing } else { Status::Resolved },
            alerts,
            group_labels: &notification.group_labels,
            common_labels: Notification::common_labels(sent),
            common_annotations: Notification::common_annotations(sent),
            external_url: &notification.external_url,
            reason: notification.reason,
            version: "4",
            group_key: &notification.group_key,
            truncated_alerts: all.len() - sent.len(),
        }
    }
}

impl<'a> MessageAlert<'a> {
    fn new(alert: &'a Alert, now: Timestamp) -> Self {
        let resolved = alert.is_resolved(now);
        MessageAlert {
            status: if resolved { Status::Resolved } else { Status::Firing },
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: alert.starts_at,
            ends_at: resolved.then_some(alert.ends_at),
            generator_url: &alert.generator_url,
            fingerprint: alert.fingerprint(),
        }
    }
}

#[cfg(test)]
mod tests;
