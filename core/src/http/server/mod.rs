//! The one HTTP server.
//!
//! It holds the listening sockets and the set of connections, and sees to it that a flood of slow
//! clients costs nobody else anything. hyper lives in this folder and nowhere else; the server
//! must not know what any route answers.

mod activation;
mod address;
mod body;
mod connection;
mod exchange;
mod framing;
mod guard;
mod handshake;
mod limits;
mod metrics;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};

use self::metrics::{Closed, Metrics};
pub use limits::Limits;

use super::Routes;
use super::web::WebConfigFile;
pub use activation::Inherited;
use body::Bodies;
use connection::Watched;
use exchange::Exchange;

/// How long to wait where nothing tells us that there is room again.
const PAUSE: Duration = Duration::from_millis(10);

/// How long between two log lines about the same trouble.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listen address is not understood.
    #[error("listen address {address:?}: {what}")]
    Address {
        /// As the user wrote it.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// A listen address cannot be bound: in use, not ours, not permitted.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// As the user wrote it.
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// A socket that was passed at the start cannot be used.
    #[error("socket {at} of those systemd has passed: {source}")]
    Passed {
        /// Which one, from 1.
        at: usize,
        /// The reason.
        source: io::Error,
    },
    /// None was passed.
    #[error("--web.systemd-socket: no socket was passed (LISTEN_FDS)")]
    NonePassed,
}

impl ServerError {
    fn address(address: &str, what: impl Into<String>) -> Self {
        ServerError::Address { address: address.to_owned(), what: what.into() }
    }
}

/// A server on one or more addresses, bound but not yet answering.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<std::net::TcpListener>,
    limits: Limits,
    metrics: Metrics,
    web: Option<WebConfigFile>,
}

impl Server {
    /// Binds addresses as Go's programs write them: `:9100` (every address of both families),
    /// `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`; port 0 takes a free one.
    ///
    /// # Errors
    /// With the first address that is not understood or cannot be bound, and why.
    pub fn bind(addresses: &[String]) -> Result<Self, ServerError> {
        let listeners: Result<_, _> = addresses.iter().map(|one| address::bind(one)).collect();
        Ok(Server::on(listeners?))
    }

    /// Serves on sockets that listen already and do not block.
    #[must_use]
    pub fn on(listeners: Vec<std::net::TcpListener>) -> Self {
        let (limits, metrics) = (Limits::default(), Metrics::new("http"));
        Server { listeners, limits, metrics, web: None }
    }

    /// Lets in whom a web configuration file lets in, by TLS where it says so.
    #[must_use]
    pub fn web_config(mut self, file: Option<WebConfigFile>) -> Self {
        self.web = file;
        self
    }

    /// Whether it speaks TLS now.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.web.as_ref().is_some_and(WebConfigFile::has_tls)
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the label `server` of its metrics; `http` otherwise.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.metrics = Metrics::new(name);
        self
    }

    /// Answers by status, and connections it had to close.
    #[must_use]
    pub fn metrics(&self) -> prometheus::Registry {
        self.metrics.registry.clone()
    }

    /// Where it listens, in the order given.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Answers until `stop` resolves, then lets requests under way finish for a while.
    ///
    /// # Errors
    /// When the runtime does not take the sockets; a failure of one connection is only logged.
    pub async fn serve(
        self,
        routes: Routes,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let listeners: io::Result<Vec<_>> =
            self.listeners.into_iter().map(TcpListener::from_std).collect();
        let listeners = listeners?;
        let mut house = House::new(routes, self.limits.affordable(), self.metrics, self.web);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = house.tasks.join_next_with_id() => house.forget(ended),
                accepted = accept(&listeners), if house.has_room() => house.take(accepted).await,
                // Full of work of our own: look again soon, somebody may wait for a client by then.
                () = sleep(PAUSE), if !house.has_room() => house.make_room(None),
            }
        }
        drop(listeners);
        house.close().await;
        Ok(())
    }
}

/// The connections of a server.
struct House {
    routes: Routes,
    limits: Limits,
    metrics: Metrics,
    web: Option<WebConfigFile>,
    bodies: Bodies,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    guests: HashMap<Id, Guest>,
    /// When it was last said that nobody can be let in.
    complained: Option<Instant>,
}

struct Guest {
    watched: Watched,
    task: AbortHandle,
}

impl House {
    fn new(routes: Routes, limits: Limits, metrics: Metrics, web: Option<WebConfigFile>) -> Self {
        House {
            routes,
            limits,
            metrics,
            web,
            bodies: Bodies::default(),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
            guests: HashMap::new(),
            complained: None,
        }
    }

    /// One more than the limit is let in, and then somebody has to go: so nobody has to go while
    /// no one waits outside.
    fn has_room(&self) -> bool {
        self.guests.len() <= self.limits.connections
    }

    async fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, remote)) => self.admit(stream, remote),
            Err(error) if belongs_to_client(&error) => {}
            Err(error) => {
                self.complain(&error);
                // Mostly EMFILE: closing a connection that only waits frees a descriptor.
                self.close_longest_waiting(None);
                if let Ok(Some(ended)) = timeout(PAUSE, self.tasks.join_next_with_id()).await {
                    self.forget(ended);
                } else {
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Says once in a while, not once per client, why nobody is let in.
    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|when| when.elapsed() > COMPLAINT_PAUSE) {
            self.complained = Some(Instant::now());
            tracing::warn!("cannot accept connections: {error}");
        }
    }

    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        // Answers are written whole; waiting to fill a segment only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, "set_nodelay: {error}");
        }
        let watched = Watched::new(&self.limits);
        let exchange = Exchange {
            remote,
            routes: self.routes.clone(),
            limits: self.limits,
            metrics: self.metrics.clone(),
            bodies: self.bodies.clone(),
            watched: watched.clone(),
            web: self.web.clone(),
        };
        let stop = self.stop.subscribe();
        let task = self.tasks.spawn(connection::serve(stream, exchange, stop));
        let newcomer = task.id();
        self.guests.insert(newcomer, Guest { watched, task });
        self.make_room(Some(newcomer));
    }

    fn make_room(&mut self, newcomer: Option<Id>) {
        if self.guests.len() > self.limits.connections {
            self.close_longest_waiting(newcomer);
        }
    }

    /// Closes the connection that keeps us waiting longest. A client that talks is never that
    /// one for long, a request we are working on never is, and a newcomer gets its chance.
    fn close_longest_waiting(&mut self, newcomer: Option<Id>) {
        let waiting = self
            .guests
            .iter()
            .filter(|(id, _)| Some(**id) != newcomer)
            .filter_map(|(id, guest)| guest.watched.waiting_since().map(|since| (since, *id)));
        if let Some((_, id)) = waiting.min_by_key(|(since, _)| *since)
            && let Some(guest) = self.guests.remove(&id)
        {
            guest.task.abort();
            self.metrics.closed(Closed::CrowdedOut);
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a connection ended in a panic");
                }
                error.id()
            }
        };
        self.guests.remove(&id);
    }

    /// Idle connections end at once, requests under way within the time allowed.
    async fn close(mut self) {
        self.stop.send_replace(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.limits.drain, drained).await.is_err() {
            tracing::debug!("{} connections did not finish in time", self.tasks.len());
        }
        self.tasks.shutdown().await;
    }
}

/// The next connection of any listener.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let poll_one = |context: &mut Context<'_>| {
        let mut polled = listeners.iter().map(|listener| listener.poll_accept(context));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    };
    poll_fn(poll_one).await
}

/// Whether an `accept` failed because of that one client.
fn belongs_to_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
