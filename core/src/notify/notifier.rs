//! The one method of a notifier, and how it may fail.
//!
//! A notifier says whether another try makes sense; the router's driver does the trying, once for
//! all of them. It must not know groups that are not its own.

use std::time::Duration;

use super::Notification;
use crate::alert::BoxFuture;

/// Sends notifications to one receiver.
pub trait Notifier: Send + Sync {
    /// Sends one notification.
    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>>;
}

/// Whether another try makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The receiver refused for good.
    Never,
    /// Try again, later each time.
    Backoff,
    /// The receiver said when (`Retry-After`).
    After(Duration),
}

/// The label `reason` of `alertmanager_notifications_failed_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyReason {
    /// The receiver says the request is wrong (4xx).
    ClientError,
    /// The receiver has trouble (5xx).
    ServerError,
    /// Credentials were refused.
    AuthError,
    /// Too many requests.
    RateLimited,
    /// The deadline passed.
    DeadlineExceeded,
    /// Anything else: no connection, a broken template.
    Other,
}

impl NotifyReason {
    /// Alertmanager's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NotifyReason::ClientError => "clientError",
            NotifyReason::ServerError => "serverError",
            NotifyReason::AuthError => "authError",
            NotifyReason::RateLimited => "rateLimited",
            NotifyReason::DeadlineExceeded => "contextDeadlineExceeded",
            NotifyReason::Other => "other",
        }
    }
}

/// Why a notification was not sent. The text must not contain a URL, token or password.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct NotifyError {
    /// Whether another try makes sense.
    pub retry: Retry,
    /// For the metric.
    pub reason: NotifyReason,
    /// What was attempted and what happened.
    pub what: String,
}

impl NotifyError {
    /// An error worth another try.
    pub fn temporary(reason: NotifyReason, what: impl Into<String>) -> Self {
        NotifyError { retry: Retry::Backoff, reason, what: what.into() }
    }

    /// An error for good.
    pub fn permanent(reason: NotifyReason, what: impl Into<String>) -> Self {
        NotifyError { retry: Retry::Never, reason, what: what.into() }
    }
}
