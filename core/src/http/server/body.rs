//! Reading a request's body, within its route's limit and the server's.
//!
//! A body is held whole, so what all clients together may make us hold is bounded as well; a
//! client that only promises bytes holds none. It must not know routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::super::Response;
use super::Limits;

/// How many bytes of bodies a server holds. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies(Arc<AtomicUsize>);

/// Bytes that are held; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    bodies: Bodies,
    bytes: usize,
}

impl Held {
    /// Counts more bytes; false when that is more than `limit` in all.
    fn grow(&mut self, bytes: usize, limit: usize) -> bool {
        self.bytes += bytes;
        self.bodies.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= limit
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Bodies {
    /// Reads a body of at most `limit` bytes; one that says it is larger is not read at all.
    /// The body counts until what comes with it is dropped.
    pub(super) async fn read(
        &self,
        body: Incoming,
        limit: usize,
        limits: &Limits,
    ) -> Result<(Bytes, Held), Response> {
        let held = Held { bodies: self.clone(), bytes: 0 };
        if body.is_end_stream() {
            return Ok((Bytes::new(), held));
        }
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        match timeout(limits.body, collect(body, limit, limits.bodies, held)).await {
            Ok(whole) => whole,
            Err(_) => Err(closing(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not come within {} s\n", limits.body.as_secs_f64()),
            )),
        }
    }
}

async fn collect(
    mut body: Incoming,
    limit: usize,
    in_all: usize,
    mut held: Held,
) -> Result<(Bytes, Held), Response> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| closing(StatusCode::BAD_REQUEST, "the body is broken\n"))?;
        let piece = frame.into_data().unwrap_or_default();
        if piece.len() > limit - whole.len() {
            return Err(too_large(limit));
        }
        if !held.grow(piece.len(), in_all) {
            return Err(closing(StatusCode::SERVICE_UNAVAILABLE, "too many bodies at once\n"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), held))
}

/// A refusal after which the rest of the connection cannot be trusted or is not worth reading.
pub(super) fn closing(status: StatusCode, text: impl Into<String>) -> Response {
    Response::text(status, text).with_header(header::CONNECTION, "close")
}

fn too_large(limit: usize) -> Response {
    let what = format!("the body is larger than the {limit} bytes allowed here\n");
    closing(StatusCode::PAYLOAD_TOO_LARGE, what)
}
