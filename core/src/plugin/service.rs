//! A task that runs as long as vigie does.
//!
//! Tailing a log, following Docker's events, evaluating rules: what has its own clock or waits for
//! a socket. A service must not know the others.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::alert::BoxFuture;
use crate::clock::SharedClock;

/// Any error, boxed.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A task of a plugin.
pub trait Service: Send {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Runs until [`ServiceContext::stopped`]; state is stored before returning.
    fn run(self: Box<Self>, context: ServiceContext) -> BoxFuture<'static, Result<(), BoxError>>;
}

/// What a running service is given.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServiceContext {
    /// The clock.
    pub clock: SharedClock,
    stop: watch::Receiver<bool>,
    ready: Arc<Semaphore>,
}

impl ServiceContext {
    /// `stop` turns true when the service shall end; `ready` gets a permit from each service that
    /// has its first snapshot.
    #[must_use]
    pub fn new(clock: SharedClock, stop: watch::Receiver<bool>, ready: Arc<Semaphore>) -> Self {
        ServiceContext { clock, stop, ready }
    }

    /// Says that the first snapshot is there, or that there will be none soon. A single scrape
    /// (`vigie collect`) waits a moment for it; call it once.
    pub fn ready(&self) {
        self.ready.add_permits(1);
    }

    /// Resolves when the service shall end.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.clone();
        async move {
            // An error means that the sender is gone, which is a stop as well.
            drop(stop.wait_for(|stop| *stop).await);
        }
    }
}
