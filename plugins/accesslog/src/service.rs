//! The task that follows the logs.
//!
//! The thin rim around the engine: it waits, tells the time, reads on a blocking thread, posts
//! alerts and stores. It must not decide anything about lines, objectives or alerts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::plugin::{BoxError, Service, ServiceContext};
use vigie_core::storage::Storage;

use crate::config::Config;
use crate::engine::Engine;
use crate::snapshot::Shared;
use crate::watch::Watcher;

/// How often everything is looked at, whether something happened or not.
const TICK: Duration = Duration::from_secs(1);
/// A busy log changes all the time; it is read, and objectives looked at, so often and not more.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the checkpoint is written while lines come. After a crash the lines since are read
/// again, so this bounds work, not what can be lost.
const STORE: Duration = Duration::from_secs(10);
/// Longest time the router may take for a post.
const POST: Duration = Duration::from_secs(5);

/// Follows the logs of a configuration.
pub(crate) struct Follower {
    pub(crate) config: Config,
    pub(crate) storage: Storage,
    pub(crate) alerts: Arc<dyn AlertSink>,
    pub(crate) shared: Shared,
}

impl Service for Follower {
    fn name(&self) -> &'static str {
        "accesslog"
    }

    fn run(self: Box<Self>, context: ServiceContext) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(run(*self, context))
    }
}

async fn run(follower: Follower, context: ServiceContext) -> Result<(), BoxError> {
    let Follower { config, storage, alerts, shared } = follower;
    let files: Vec<PathBuf> = config.sources.iter().map(|s| s.path.clone()).collect();
    let now = || context.clock.now().as_millisecond();
    let began = now();
    let from = storage.clone();
    let mut engine = blocking(move || {
        let mut engine = Engine::new(config, began);
        engine.restore(&from);
        engine
    })
    .await?;
    let mut watcher = Watcher::new();
    let mut keeper = Keeper::new(storage);
    loop {
        watcher.watch(&files);
        let time = now();
        let at_end;
        (engine, at_end) = blocking(move || {
            let at_end = engine.read(time);
            (engine, at_end)
        })
        .await?;
        if engine.has_caught_up() {
            let (snapshot, posts) = engine.look(time);
            if shared.put(snapshot) {
                context.ready();
            }
            if !posts.is_empty() && post(&*alerts, posts).await {
                engine.taken(time);
                keeper.hurry();
            }
        }
        if keeper.is_due(&engine) {
            (engine, keeper) = blocking(move || {
                keeper.store(&engine);
                (engine, keeper)
            })
            .await?;
        }
        tokio::select! {
            () = context.stopped() => break,
            () = pause(&mut watcher, at_end) => {}
        }
    }
    let time = now();
    let outcome = blocking(move || {
        engine.read(time);
        keeper.store(&engine);
    });
    outcome.await
}

async fn pause(watcher: &mut Watcher, at_end: bool) {
    if at_end {
        sleep(PAUSE).await;
        // The time being up is as good as a change.
        drop(timeout(TICK - PAUSE, watcher.changed()).await);
    }
}

/// Files may lie on a mount that hangs: no worker thread of the runtime waits for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BoxError> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Says whether the alerts need not be posted again.
async fn post(sink: &dyn AlertSink, posts: Vec<PostedAlert>) -> bool {
    match timeout(POST, sink.post(posts)).await {
        Ok(Ok(())) => true,
        // Posting them again would not make them better.
        Ok(Err(error @ PostError::Refused(_))) => {
            tracing::error!(%error, "alerts about service levels were refused");
            true
        }
        Ok(Err(PostError::Closed)) => false,
        Ok(Err(error)) => {
            tracing::warn!(%error, "alerts about service levels were not taken, trying again");
            false
        }
        Err(_) => {
            tracing::warn!("the alert router does not answer, trying again");
            false
        }
    }
}

/// Writes the checkpoint when it is due.
struct Keeper {
    storage: Storage,
    stored: Instant,
    lines: u64,
    due: bool,
    failing: bool,
}

impl Keeper {
    fn new(storage: Storage) -> Self {
        // At once: a crash before the first checkpoint would forget where counting began.
        Keeper { storage, stored: Instant::now(), lines: 0, due: true, failing: false }
    }

    /// Alerts changed: another run must know.
    fn hurry(&mut self) {
        self.due = true;
    }

    fn is_due(&self, engine: &Engine) -> bool {
        self.due || self.stored.elapsed() >= STORE && engine.lines() != self.lines
    }

    fn store(&mut self, engine: &Engine) {
        let outcome = engine.store(&self.storage);
        match &outcome {
            Err(error) if !self.failing => {
                tracing::error!(%error, "the place in the access logs cannot be stored");
            }
            Ok(()) if self.failing => {
                tracing::info!("the place in the access logs is stored again");
            }

            _ => {}
        }
        self.failing = outcome.is_err();
        (self.stored, self.lines, self.due) = (Instant::now(), engine.lines(), false);
    }
}
