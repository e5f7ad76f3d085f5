//! Where alerts are posted.
//!
//! Rules, the access log and the API all hold an [`AlertSink`]; behind it stands the local router, a
//! remote one, or both. It must not know what becomes of an alert.

use std::future::Future;
use std::pin::Pin;

use super::{AlertError, PostedAlert};

/// A boxed future, as object-safe async traits need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes alerts.
pub trait AlertSink: Send + Sync {
    /// Posts alerts; the valid ones of a batch are taken even when others are refused.
    fn post<'a>(&'a self, alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>>;
}

/// Why (some) alerts were not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// These alerts were refused, the others taken.
    #[error("{}", join(.0))]
    Refused(Vec<AlertError>),
    /// There is room for no more; the text says which limit.
    #[error("{0}")]
    Full(String),
    /// Nobody takes alerts: routing is off or stopping.
    #[error("alert routing is not running")]
    Closed,
    /// It was taken, but could not be stored safely.
    #[error("cannot store: {0}")]
    Storage(String),
}

fn join(errors: &[AlertError]) -> String {
    let texts: Vec<String> = errors.iter().take(10).map(ToString::to_string).collect();
    texts.join("; ")
}
