//! One connection for many requests, as Prometheus keeps one to each target.
//!
//! Ten thousand requests on connections of their own would be a test of the kernel's table of sockets. It must not
//! reconnect: a server that hangs up fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::http::{Answer, HttpError};

/// A connection that stays open.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self, HttpError> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// `GET path` with one header more, for an answer that says its length.
    ///
    /// # Errors
    /// When there is no answer, or none with a `Content-Length`.
    pub fn get(&mut self, path: &str, header: &str) -> Result<Answer, HttpError> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{header}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        (&mut self.0).take(length).read_to_end(&mut bytes)?;
        Answer::parse(&bytes)
    }
}
