//! Keeps the snapshot of names and states: a list at the start, events from then on.
//!
//! Inspecting every container at each scrape is what makes others expensive; here a container is
//! inspected when something happened to it. It must not know the shapes of the daemon's answers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use vigie_core::alert::BoxFuture;
use vigie_core::clock::SharedClock;
use vigie_core::plugin::{BoxError, Service, ServiceContext};

use crate::api::{Api, event_container, from_inspection, from_summary};
use crate::config::Host;
use crate::label::LabelFilter;
use crate::latest::Latest;
use crate::snapshot::{Link, Snapshot};

/// An event that was lost is made good after this time at the latest.
const RELIST: Duration = Duration::from_secs(180);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Events taken together, when many come at once.
const BATCH: usize = 256;

/// The service that follows the daemon.
pub(crate) struct Names {
    pub(crate) host: Host,
    pub(crate) labels: LabelFilter,
    pub(crate) snapshot: Arc<Latest<Snapshot>>,
}

impl Service for Names {
    fn name(&self) -> &'static str {
        "docker names"
    }

    fn run(self: Box<Self>, context: ServiceContext) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move {
            tokio::select! {
                () = context.stopped() => {}
                () = self.follow_forever(&context) => {}
            }
            Ok(())
        })
    }
}

impl Names {
    async fn follow_forever(&self, context: &ServiceContext) {
        let mut retry = FIRST_RETRY;
        let mut first = true;
        loop {
            let mut listed = || {
                if std::mem::take(&mut first) {
                    context.ready();
                }
            };
            let Err(error) = self.follow(&context.clock, &mut listed).await;
            listed();
            if self.lost(&error) {
                retry = FIRST_RETRY;
            }
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// Follows one connection until it breaks, which is the only way it ends.
    async fn follow(
        &self,
        clock: &SharedClock,
        listed: &mut (dyn FnMut() + Send),
    ) -> Result<Infallible, Error> {
        let api = Api::connect(&self.host).await?;
        loop {
            // Events from before the list on: what happens while it is made is not lost.
            let since = clock.now();
            self.relist(&api).await?;
            listed();
            let mut events = pin!(api.events(since).ready_chunks(BATCH));
            let relist = Instant::now() + RELIST;
            loop {
                let batch = tokio::select! {
                    () = sleep_until(relist) => break,
                    batch = events.next() => batch.ok_or_else(ended)?,
                };
                let changed = batch
                    .into_iter()
                    .filter_map(|event| event.map(event_container).transpose())
                    .collect::<Result<BTreeSet<String>, Error>>()?;
                self.refresh(&api, changed).await?;
            }
        }
    }

    /// Publishes every container there is, looked at anew.
    async fn relist(&self, api: &Api) -> Result<(), Error> {
        let known = self.snapshot.get();
        let node = api.swarm_node().await.unwrap_or_else(|_| known.node.clone());
        let mut fresh = Snapshot { node, link: Link::Up, ..Snapshot::default() };
        for summary in api.list().await? {
            if let Some((id, container)) = from_summary(summary, &self.labels) {
                // Should its inspection fail now, an earlier one says more than the list.
                let container =
                    known.containers.get(&id).cloned().unwrap_or_else(|| Arc::new(container));
                fresh.put(id, container);
            }
        }
        let all = fresh.containers.keys().cloned().collect();
        self.inspect(api, all, &mut fresh).await?;
        // At the start the note said it; news is only an answer after there was none.
        if known.link != Link::Up && self.snapshot.version() > 0 {
            tracing::info!(host = %self.host, containers = fresh.containers.len(), "the Docker daemon answers");
        }
        self.snapshot.set(fresh);
        Ok(())
    }

    async fn refresh(&self, api: &Api, changed: BTreeSet<String>) -> Result<(), Error> {
        let mut fresh = Snapshot::clone(&self.snapshot.get());
        self.inspect(api, changed, &mut fresh).await?;
        self.snapshot.set(fresh);
        Ok(())
    }

    /// Looks at each container of `ids` anew; one that is gone is dropped, one whose answer is
    /// not understood stays as it was.
    async fn inspect(
        &self,
        api: &Api,
        ids: BTreeSet<String>,
        fresh: &mut Snapshot,
    ) -> Result<(), Error> {
        for id in ids {
            match api.inspect(&id).await {
                Ok(Some(found)) => {
                    fresh.put(id, Arc::new(from_inspection(found, &self.labels)));
                }
                Ok(None) => {
                    fresh.containers.remove(&id);
                }
                Err(
                    error @ (Error::JsonDataError { .. } | Error::DockerResponseServerError { .. }),
                ) => {
                    tracing::debug!(%id, %error, "cannot inspect a container");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Notes that the daemon does not answer; true when it did before.
    fn lost(&self, error: &Error) -> bool {
        let known = self.snapshot.get();
        let was_up = known.link == Link::Up;
        let first = self.snapshot.version() == 0;
        let absent = matches!(error, Error::SocketNotFoundError(_));
        let reason = reason(error);
        if was_up {
            tracing::warn!(host = %self.host, reason, "lost the Docker daemon; container figures go on");
        } else if first && !absent {
            tracing::warn!(host = %self.host, reason, "cannot ask the Docker daemon; containers go by their ids");
        } else {
            tracing::debug!(host = %self.host, reason, "cannot reach the Docker daemon");
        }
        let link = if known.link == Link::Unseen { Link::Unseen } else { Link::Down };
        self.snapshot.set(Snapshot { link, ..Snapshot::clone(&known) });
        was_up
    }
}

/// An error with its causes: the client's own words hide the refusal of a socket.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    // A daemon may answer an error of any length.
    text.truncate(text.floor_char_boundary(300));
    text
}

fn ended() -> Error {
    Error::DockerStreamError { error: "the stream of events ended".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_cause_once_and_is_short() {
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(reason(&Error::from(refused)), "permission denied");
        let long = Error::DockerStreamError { error: "é".repeat(1000) };
        assert!(reason(&long).len() <= 300);
    }
}
