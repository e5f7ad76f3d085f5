//! A small HTTP client over plain sockets.
//!
//! The tests look at bytes, so they send what they say and nothing else; one request per connection
//! keeps answers apart. It must not follow, retry or decompress anything.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No answer of a test is longer.
const LIMIT: u64 = 64 << 20;

/// An answer, its body whole and unchunked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers under lower-case names; the last one of a name counts.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text; what is no UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{} is no JSON ({error}): {}", self.status, self.text()),
        }
    }

    /// A header; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body of a 200.
    ///
    /// # Panics
    /// For any other status.
    #[must_use]
    pub fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", self.text());
        self
    }
}

/// No answer, or none that is HTTP.
#[derive(Debug)]
pub struct HttpError(String);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HttpError {}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        HttpError(error.to_string())
    }
}

/// A request to be changed before it is sent.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl<'a> Query<'a> {
    /// A request without body.
    #[must_use]
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Query { method, path, headers: Vec::new(), body: &[] }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, content_type: &'a str, body: &'a [u8]) -> Self {
        self.body = body;
        self.header("Content-Type", content_type)
    }
}

/// `GET path`.
///
/// # Errors
/// When there is no answer.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer, HttpError> {
    request(address, &Query::new("GET", path))
}

/// `POST path` with JSON.
///
/// # Errors
/// When there is no answer.
pub fn post(address: SocketAddr, path: &str, body: &Value) -> Result<Answer, HttpError> {
    let body = body.to_string();
    request(address, &Query::new("POST", path).body("application/json", body.as_bytes()))
}

/// Sends a request on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub fn request(address: SocketAddr, query: &Query<'_>) -> Result<Answer, HttpError> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {address}\r\n", query.method, query.path);
    for (name, value) in &query.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !query.body.is_empty() || query.method == "POST" {
        head += &format!("Content-Length: {}\r\n", query.body.len());
    }
    head += "Connection: close\r\n\r\n";
    let bytes = [head.as_bytes(), query.body].concat();
    parse(&send_raw(address, &bytes)?, query.method == "HEAD")
}

/// Sends bytes as they are and gives everything that comes back until the peer closes.
///
/// # Errors
/// When nothing can be sent, or the peer neither answers nor closes for a minute.
pub fn send_raw(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, HttpError> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    // A peer that refuses early closes before it has read everything: its answer still counts.
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = stream.take(LIMIT).read_to_end(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
    }
    Ok(answer)
}

impl Answer {
    /// Reads an answer to anything but `HEAD`.
    ///
    /// # Errors
    /// When it is not HTTP.
    pub fn parse(bytes: &[u8]) -> Result<Answer, HttpError> {
        parse(bytes, false)
    }
}

fn parse(bytes: &[u8], head_only: bool) -> Result<Answer, HttpError> {
    let broken = |what: &str| HttpError(format!("{what}: {:?}", String::from_utf8_lossy(bytes)));
    let end = find(bytes, b"\r\n\r\n").ok_or_else(|| broken("no end of the head"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|n| n.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let length = headers.get("content-length").and_then(|value| value.parse::<usize>().ok());
    let body = match length {
        _ if head_only => Vec::new(),
        _ if chunked => unchunk(rest).ok_or_else(|| broken("a torn chunk"))?,
        Some(length) if rest.len() < length => return Err(broken("a torn body")),
        Some(length) => rest[..length].to_owned(),
        None => rest.to_owned(),
    };
    Ok(Answer { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_length_chunks_or_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nabc",
        ] {
            let answer = Answer::parse(answer.as_bytes()).unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "abc"));
        }
    }

    #[test]
    fn torn_answers_are_errors() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
        ] {
            assert!(Answer::parse(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }
}
