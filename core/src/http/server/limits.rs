//! How much and how long a client may.
//!
//! All bounds of the server stand in this one table, so that a test can shrink them and a reader
//! can see what a hostile client costs at most. It must not know how they are enforced.

use std::time::Duration;

/// The bounds of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once; beyond, the one that keeps us waiting longest is closed. A server takes
    /// fewer where the process may not open four times as many files, which others need too.
    pub connections: usize,
    /// Largest head (request line and headers) in bytes; more is answered 431.
    pub head_bytes: usize,
    /// Most headers of a request; more is answered 431.
    pub headers: usize,
    /// From the first byte of a head to its end, from connecting to the first byte, and for the
    /// handshake of TLS before that.
    pub head: Duration,
    /// Between two requests of a connection; longer than usual scrape intervals, so that
    /// Prometheus keeps its connection.
    pub idle: Duration,
    /// Bytes of bodies held at once, of all requests together; more is answered 503.
    pub bodies: usize,
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

impl Limits {
    /// With so many connections that files stay for everybody else.
    pub(super) fn affordable(mut self) -> Self {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        if let Some(files) = open_files(&text) {
            self.connections = self.connections.min(files / 4).max(1);
        }
        self
    }
}

/// The soft limit in `/proc/PID/limits`; `None` when there is no such line or no limit.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            head_bytes: 32 << 10,
            headers: 100,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            bodies: 64 << 20,
            body: Duration::from_secs(30),
            handler: Duration::from_secs(60),
            write_stall: Duration::from_secs(15),
            write_rate: 4 << 10,
            drain: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_found() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(open_files("Max open files   unlimited   unlimited   files"), None);
        assert_eq!(open_files(""), None);
    }
}
