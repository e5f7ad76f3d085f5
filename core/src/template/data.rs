//! A notification as templates see it: Alertmanager's `template.Data`.
//!
//! Fields, their order and their names in JSON are those of Alertmanager. It must not know how a
//! template is run.

use super::time;
use super::value::Value;
use crate::alert::Alert;
use crate::notify::{Notification, Status};

/// The dot of a template.
pub(super) fn data(notification: &Notification) -> Value {
    let alerts = &notification.alerts;
    let list = alerts.iter().map(|alert| of_alert(alert, notification)).collect();
    let reason = serde_json::to_value(notification.reason).unwrap_or_default();
    Value::structure(
        "template.Data",
        vec![
            ("Receiver", "receiver", Value::text(&*notification.receiver)),
            ("Status", "status", Value::text(notification.status().as_str())),
            ("Alerts", "alerts", Value::data_list(list)),
            ("GroupLabels", "groupLabels", Value::Labels(notification.group_labels.clone())),
            ("CommonLabels", "commonLabels", Value::Labels(Notification::common_labels(alerts))),
            (
                "CommonAnnotations",
                "commonAnnotations",
                Value::Labels(Notification::common_annotations(alerts)),
            ),
            ("ExternalURL", "externalURL", Value::text(&*notification.external_url)),
            (
                "NotificationReason",
                "notification_reason",
                Value::text(reason.as_str().unwrap_or_default()),
            ),
        ],
    )
}

fn of_alert(alert: &Alert, notification: &Notification) -> Value {
    let resolved = alert.is_resolved(notification.now);
    let status = if resolved { Status::Resolved } else { Status::Firing };
    // A firing alert has no end yet, whatever its timeout says.
    let ends = if resolved { time::utc(alert.ends_at) } else { time::zero() };
    Value::structure(
        "template.Alert",
        vec![
            ("Status", "status", Value::text(status.as_str())),
            ("Labels", "labels", Value::Labels(alert.labels.clone())),
            ("Annotations", "annotations", Value::Labels(alert.annotations.clone())),
            ("StartsAt", "startsAt", Value::Time(Box::new(time::utc(alert.starts_at)))),
            ("EndsAt", "endsAt", Value::Time(Box::new(ends))),
            ("GeneratorURL", "generatorURL", Value::text(&*alert.generator_url)),
            ("Fingerprint", "fingerprint", Value::text(alert.fingerprint().to_string())),
        ],
    )
}
