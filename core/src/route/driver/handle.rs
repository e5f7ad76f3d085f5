//! The router as others hold it: post, look, silence, reload, stop.
//!
//! A handle is cheap to clone and talks to the one task that owns the machine. It must not know
//! the machine.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Event;
use crate::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use crate::route::config::RouteConfig;
use crate::route::metrics::Metrics;
use crate::route::silence::{PostedSilence, SilenceError};
use crate::route::view::View;

/// A running router.
#[derive(Clone)]
pub struct RouterHandle {
    pub(in crate::route) events: mpsc::Sender<Event>,
    pub(in crate::route) metrics: Metrics,
}

impl RouterHandle {
    /// All the router knows; the same picture while nothing changes.
    ///
    /// # Errors
    /// When the router has stopped.
    pub async fn view(&self) -> Result<Arc<View>, PostError> {
        self.ask(Event::View).await.ok_or(PostError::Closed)
    }

    /// Makes or changes a silence, answered with its id once it is safely stored.
    ///
    /// # Errors
    /// When it cannot be as posted, cannot be stored, or the router has stopped.
    pub async fn set_silence(&self, silence: PostedSilence) -> Result<String, SilenceError> {
        let answer = self.ask(|answer| Event::SetSilence(Box::new(silence), answer)).await;
        answer.unwrap_or(Err(SilenceError::Closed))
    }

    /// Ends a silence; one that is over already stays as it is.
    ///
    /// # Errors
    /// When there is no such silence, the change cannot be stored, or the router has stopped.
    pub async fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        let id = id.to_owned();
        let answer = self.ask(|answer| Event::ExpireSilence(id, answer)).await;
        answer.unwrap_or(Err(SilenceError::Closed)).map(drop)
    }

    /// Follows another configuration. Alerts, silences, the notification log and the timers of
    /// groups that are still there stay.
    pub async fn reload(&self, config: RouteConfig) {
        // Without an answer the router has stopped, and there is nothing to reload.
        let _ = self.ask(|answer| Event::Reload(Box::new(config), answer)).await;
    }

    /// Notes that a new configuration was refused and the old one kept.
    pub fn reload_failed(&self) {
        self.metrics.reload_failed();
    }

    /// Stops: what is being sent gets a moment to end, state is stored, files are closed.
    pub async fn stop(&self) {
        let _ = self.ask(Event::Stop).await;
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.events.send(event(answer)).await.ok()?;
        answered.await.ok()
    }

    async fn post_alerts(&self, alerts: Vec<PostedAlert>) -> Result<(), PostError> {
        let answer = self.ask(|answer| Event::Post(alerts, answer)).await;
        let (posted, stored) = answer.ok_or(PostError::Closed)?;
        if let Some(stored) = stored {
            let outcome = stored.await.map_err(|_| PostError::Closed)?;
            outcome.map_err(|failure| PostError::Storage(failure.what))?;
        }
        if posted.dropped > 0 {
            return Err(PostError::Full(format!(
                "{} alerts dropped: more are known than can be kept",
                posted.dropped
            )));
        }
        if posted.refused.is_empty() { Ok(()) } else { Err(PostError::Refused(posted.refused)) }
    }
}

impl AlertSink for RouterHandle {
    fn post<'a>(&'a self, alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(self.post_alerts(alerts))
    }
}

impl std::fmt::Debug for RouterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouterHandle")
    }
}
