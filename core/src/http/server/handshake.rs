//! What happens on a connection before HTTP: nothing, or the handshake of TLS.
//!
//! Each connection takes the certificates that are in force when it begins. A client that does not
//! finish its handshake is bounded as one that does not finish a head is, and costs nobody else
//! anything. It must not know HTTP, but for telling its speakers that this is TLS.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::linger;
use super::exchange::Exchange;
use super::metrics::Closed;

/// What Go's server says to who speaks HTTP where TLS is spoken.
const NOT_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// A connection on which HTTP can be spoken.
pub(super) enum Stream {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Opens a connection; nothing when it has ended meanwhile.
pub(super) async fn open(
    stream: TcpStream,
    exchange: &Exchange,
    mut stop: watch::Receiver<bool>,
) -> Option<Stream> {
    let Some(web) = &exchange.web else { return Some(Stream::Clear(stream)) };
    let web = web.current().await;
    let Some(tls) = web.tls() else { return Some(Stream::Clear(stream)) };
    let watched = &exchange.watched;
    let mut securing = Box::pin(secure(stream, tls.clone()));
    let securing = poll_fn(|context| {
        let polled = securing.as_mut().poll(context);
        if polled.is_pending() {
            watched.starved();
        }
        polled
    });
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => None,
        () = expired(watched.deadline()) => {
            exchange.metrics.closed(Closed::SlowHandshake);
            tracing::debug!(remote = %exchange.remote, "closed: {:?}", Closed::SlowHandshake);
            None
        }
        secured = securing => match secured {
            Ok(stream) => {
                watched.opened();
                Some(Stream::Secure(Box::new(stream)))
            }
            Err(error) => {
                exchange.metrics.closed(Closed::Handshake);
                tracing::debug!(remote = %exchange.remote, "no TLS: {error}");
                None
            }
        }
    }
}

/// Resolves at the deadline; never, when there is none.
async fn expired(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

async fn secure(mut stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    // A record of TLS begins with 22, a request with the name of a method.
    if first[0].is_ascii_uppercase() {
        stream.write_all(NOT_TLS).await?;
        linger(stream).await;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks HTTP"));
    }
    match TlsAcceptor::from(tls).accept(stream).into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, stream)) => {
            // The alert has been written: the client should read it before the connection is reset.
            linger(stream).await;
            Err(error)
        }
    }
}

impl Stream {
    fn io(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Stream::Clear(stream) => Pin::new(stream as &mut dyn Duplex),
            Stream::Secure(stream) => Pin::new(stream.as_mut() as &mut dyn Duplex),
        }
    }
}

/// What both kinds can do.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.io().poll_read(context, buffer) {
            // Many clients leave without saying goodbye; what HTTP has not framed it refuses itself.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Clear(stream) => stream.is_write_vectored(),
            Stream::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }
}
