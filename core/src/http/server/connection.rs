//! One connection: hyper on a socket that is watched.
//!
//! hyper speaks HTTP; this rim tells the guard what happens on the socket, closes when the guard
//! says so, and lingers where a client has not been heard out. It must not know routes or TLS.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until, timeout};

use super::Limits;
use super::exchange::Exchange;
use super::framing::Framing;
use super::guard::Guard;
use super::handshake::{Stream, open};
use super::metrics::Closed;
use crate::alert::BoxFuture;

/// How long a refused client may take to notice that it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// What the socket, the exchange and the server know together of one connection.
#[derive(Clone)]
pub(super) struct Watched(Arc<Mutex<Inner>>);

struct Inner {
    guard: Guard,
    framing: Framing,
    head_bytes: usize,
    /// The exchange that waits until the answer before its own has gone.
    queued: Option<Waker>,
}

impl Watched {
    pub(super) fn new(limits: &Limits) -> Self {
        Watched(Arc::new(Mutex::new(Inner {
            guard: Guard::new(*limits, Instant::now()),
            framing: Framing::default(),
            head_bytes: limits.head_bytes,
            queued: None,
        })))
    }

    /// Whether the `nth` request contradicts itself.
    pub(super) fn refuses(&self, nth: u64) -> bool {
        self.lock().framing.refuses(nth)
    }

    pub(super) fn body(&self) {
        self.lock().guard.body(Instant::now());
    }

    pub(super) fn working(&self) {
        self.lock().guard.working(Instant::now());
    }

    pub(super) fn answered(&self) {
        let mut inner = self.lock();
        let in_head = inner.framing.in_head();
        inner.guard.answered(in_head, Instant::now());
    }

    /// Since when the client keeps us waiting.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.lock().guard.waiting_since()
    }

    /// Resolves when no earlier answer waits for the client.
    pub(super) async fn written(&self) {
        poll_fn(|context| {
            let mut inner = self.lock();
            if inner.guard.is_writing() {
                inner.queued = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    fn read(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        let limit = inner.head_bytes;
        inner.framing.feed(bytes, limit);
        let in_head = inner.framing.in_head();
        inner.guard.read(in_head, Instant::now());
    }

    /// The handshake is done.
    pub(super) fn opened(&self) {
        self.lock().guard.opened(Instant::now());
    }

    /// The client has sent nothing more yet.
    pub(super) fn starved(&self) {
        self.lock().guard.starved();
    }

    fn wrote(&self, bytes: usize) {
        self.lock().guard.wrote(bytes, Instant::now());
    }

    fn flushed(&self) {
        let mut inner = self.lock();
        if inner.guard.is_writing() {
            inner.guard.flushed(Instant::now());
            if let Some(queued) = inner.queued.take() {
                queued.wake();
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().guard.deadline()
    }

    fn expired(&self) -> Closed {
        self.lock().guard.expired()
    }

    fn is_between(&self) -> bool {
        self.lock().guard.is_between()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one whole step, so that a poisoned state is still a state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, exchange: Exchange, stop: watch::Receiver<bool>) {
    let (remote, limits) = (exchange.remote, exchange.limits);
    let metrics = exchange.metrics.clone();
    let watched = exchange.watched.clone();
    let Some(stream) = open(stream, &exchange, stop.clone()).await else { return };
    let socket = TokioIo::new(Socket { stream, watched: watched.clone() });
    let service = Service { exchange: Arc::new(exchange), count: AtomicU64::new(0) };
    let mut connection = builder(&limits).serve_connection(socket, service);
    match drive(&mut connection, &watched, stop.clone()).await {
        Ok(()) => {}
        Err(Ended::Expired) => {
            metrics.closed(watched.expired());
            return tracing::debug!(%remote, "closed: {:?}", watched.expired());
        }
        Err(Ended::Broken(error)) => {
            metrics.closed(if error.is_parse() { Closed::NotHttp } else { Closed::BrokenOff });
            tracing::debug!(%remote, "closed: {error}");
        }
    }
    if !*stop.borrow() {
        linger(connection.into_parts().io.into_inner().stream).await;
    }
}

type Connection = http1::Connection<TokioIo<Socket>, Service>;

enum Ended {
    /// The guard has given up.
    Expired,
    Broken(hyper::Error),
}

/// HTTP/1 only: whoever scrapes or posts alerts is content with it, and each stream of HTTP/2 would
/// need all these bounds once more.
fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client that has said all may close its half and still be answered.
        .half_close(true)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes)
        // Holds one head and a little of what follows; hyper asks for 8 KiB at least.
        .max_buf_size(limits.head_bytes.max(8 << 10) * 2)
        // The guard does this, and tells idle connections from slow ones.
        .header_read_timeout(None);
    builder
}

/// Runs hyper until the connection ends, the guard gives up, or the server stops.
async fn drive(
    connection: &mut Connection,
    watched: &Watched,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Ended> {
    let mut alarm = Box::pin(sleep_until(tokio::time::Instant::now()));
    let mut stopping = Some(Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) }));
    poll_fn(|context| {
        if let Some(waiting) = &mut stopping
            && waiting.as_mut().poll(context).is_ready()
        {
            stopping = None;
            // hyper would wait for the rest of a head that may never come.
            if watched.is_between() {
                return Poll::Ready(Ok(()));
            }
            Pin::new(&mut *connection).graceful_shutdown();
        }
        match connection.poll_without_shutdown(context) {
            Poll::Ready(ended) => Poll::Ready(ended.map_err(Ended::Broken)),
            Poll::Pending => {
                poll_expired(watched, alarm.as_mut(), context).map(|()| Err(Ended::Expired))
            }
        }
    })
    .await
}

/// Ready when the guard's deadline has passed; else the alarm rings then, or before.
fn poll_expired(
    watched: &Watched,
    mut alarm: Pin<&mut Sleep>,
    context: &mut Context<'_>,
) -> Poll<()> {
    while let Some(deadline) = watched.deadline() {
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let deadline = deadline.into();
        if alarm.is_elapsed() || deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(context));
    }
    Poll::Pending
}

/// Says that we are done, and hears out what is still on its way: closing at once would reset the
/// connection, and the client would never see why it was refused.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let heard_out = async {
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it was heard out or broke meanwhile, the connection ends here.
    drop(timeout(LINGER, heard_out).await);
}

/// hyper's view of an [`Exchange`].
struct Service {
    exchange: Arc<Exchange>,
    count: AtomicU64,
}

impl hyper::service::Service<hyper::Request<Incoming>> for Service {
    type Response = hyper::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let nth = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let exchange = Arc::clone(&self.exchange);
        Box::pin(async move { Ok(exchange.answer(request, nth).await) })
    }
}

/// A socket that reports what passes.
struct Socket {
    stream: Stream,
    watched: Watched,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) else {
            self.watched.starved();
            return Poll::Pending;
        };
        read?;
        self.watched.read(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // hyper flushes when it has handed over all it had.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.watched.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Socket {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.watched.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watched.wrote(0),
        }
        written
    }
}
