//! How much and how long a client may.
//!
//! All bounds of the server stand in this one table, so that a test can shrink them and a reader
//! can see what a hostile client costs at most. It must not know how they are enforced.

use std::time::Duration;

/// The bounds of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once; beyond, the one that keeps us waiting longest is closed.
    pub connections: usize,
    /// Largest head (request line and headers) in bytes; more is answered 431.
    pub head_bytes: usize,
    /// Most headers of a request; more is answered 431.
    pub headers: usize,
    /// From the first byte of a head to its end, and from connecting to the first byte.
    pub head: Duration,
    /// Between two requests of a connection; longer than usual scrape intervals, so that
    /// Prometheus keeps its connection.
    pub idle: Duration,
    /// From the end of the head to the end of the body; longer is answered 408.
    pub body: Duration,
    /// How long a handler may take; longer is answered 503.
    pub handler: Duration,
    /// How long a client may take nothing of its answer.
    pub write_stall: Duration,
    /// Bytes per second a client must take of a long answer, counted after `write_stall`.
    pub write_rate: u64,
    /// How long requests under way may take to finish once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            head_bytes: 32 << 10,
            headers: 100,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            body: Duration::from_secs(30),
            handler: Duration::from_secs(60),
            write_stall: Duration::from_secs(15),
            write_rate: 4 << 10,
            drain: Duration::from_secs(5),
        }
    }
}
