//! What the API and the view ask the router for.
//!
//! Reading is done on threads of its own and by few at a time: a costly filter over many alerts must
//! not hold up whoever posts. It must not know HTTP.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vigie_core::alert::{AlertSink, BoxFuture, PostError};
use vigie_core::clock::{SharedClock, Timestamp};
use vigie_core::route::{PostedSilence, RouterHandle, SilenceError, View};

/// A router, local or scripted by a test.
pub trait AlertRouter: AlertSink {
    /// All it knows.
    fn view(&self) -> BoxFuture<'_, Result<Arc<View>, PostError>>;
    /// Makes or changes a silence; returns its id.
    fn set_silence(&self, silence: PostedSilence) -> BoxFuture<'_, Result<String, SilenceError>>;
    /// Ends a silence.
    fn expire_silence<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SilenceError>>;
}

impl AlertRouter for RouterHandle {
    fn view(&self) -> BoxFuture<'_, Result<Arc<View>, PostError>> {
        Box::pin(self.view())
    }

    fn set_silence(&self, silence: PostedSilence) -> BoxFuture<'_, Result<String, SilenceError>> {
        Box::pin(self.set_silence(silence))
    }

    fn expire_silence<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SilenceError>> {
        Box::pin(self.expire_silence(id))
    }
}

/// The router, and how many may read it at once. Clones share both.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) router: Arc<dyn AlertRouter>,
    pub(crate) clock: SharedClock,
    readers: Arc<Semaphore>,
}

/// Readers at once, as Alertmanager's `--web.get-concurrency`.
pub(crate) const READERS: usize = 8;

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Too many read already.
    #[error("Limit of concurrent GET requests reached ({READERS}), try again later.")]
    Busy,
    /// The router does not answer.
    #[error(transparent)]
    Router(#[from] PostError),
    /// Rendering failed, which is a fault of ours.
    #[error("cannot make the answer")]
    Failed,
}

impl Backend {
    pub(crate) fn new(router: Arc<dyn AlertRouter>, clock: SharedClock) -> Self {
        Backend { router, clock, readers: Arc::new(Semaphore::new(READERS)) }
    }

    /// Makes something of a snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        make: impl FnOnce(&View, Timestamp) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let reader = Arc::clone(&self.readers).try_acquire_owned().map_err(|_| ReadError::Busy)?;
        let view = self.router.view().await?;
        let now = self.clock.now();
        aside(move || {
            let _reader = reader;
            make(&view, now)
        })
        .await
    }
}

/// Does what may take long where it holds up nobody.
pub(crate) async fn aside<T: Send + 'static>(
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(make).await.map_err(|error| {
        tracing::error!(%error, "cannot answer a request");
        ReadError::Failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::clock::SystemClock;

    use crate::sample::Scripted;

    #[tokio::test]
    async fn few_read_at_once() {
        let backend = Backend::new(Arc::new(Scripted::default()), Arc::new(SystemClock));
        let held: Vec<_> = (0..READERS).map(|_| backend.readers.try_acquire().unwrap()).collect();
        assert!(matches!(backend.read(|_, _| ()).await, Err(ReadError::Busy)));
        drop(held);
        assert_eq!(backend.read(|view, _| view.alerts.len()).await.unwrap(), 2);
        assert!(matches!(backend.read(|_, _| panic!("ours")).await, Err(ReadError::Failed)));
        assert_eq!(backend.readers.available_permits(), READERS);
    }
}
