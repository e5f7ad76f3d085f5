//! One POST over TCP or a Unix socket, over in time or given up.
//!
//! HTTP 1.0 suffices: one question, one answer, and the end of the connection is the end of the answer. It must not
//! know what is asked.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use vigie_core::config::Secret;

/// More than thousands of processes take.
const LONGEST_ANSWER: usize = 16 << 20;

/// Where a server listens. Shown without user and password.
pub(super) struct Endpoint {
    socket: Socket,
    /// The header with user and password; empty without.
    authorization: Secret,
    path: String,
}

enum Socket {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not within the time.
    Silent,
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure::Silent,
            _ => Failure::Other(error.to_string()),
        }
    }
}

impl Endpoint {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]/PATH` or `unix:///PATH`.
    ///
    /// # Errors
    /// What is wrong, without user and password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let socket = Socket::Unix(path.into());
            return match path.starts_with('/') {
                true => {
                    Ok(Endpoint { socket, authorization: Secret::default(), path: "/RPC2".into() })
                }
                false => Err("expected the path of a socket after unix://".to_owned()),
            };
        }
        let wanted = "expected http://HOST:PORT/PATH or unix:///PATH";
        let rest = url.strip_prefix("http://").ok_or(wanted)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().map_err(|_| wanted)?),
            _ => (host, 80),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let is_odd = |c: char| c.is_control() || c.is_whitespace();
        if name.is_empty() || name.contains(is_odd) || path.contains(is_odd) {
            return Err(wanted.to_owned());
        }
        let authorization = user.map_or_else(Secret::default, |user| {
            let user = percent_decoded(user);
            Secret::new(format!("Authorization: Basic {}\r\n", base64(&user)))
        });
        let path = if path.is_empty() { "/" } else { path };
        Ok(Endpoint {
            socket: Socket::Tcp(name.to_owned(), port),
            authorization,
            path: path.to_owned(),
        })
    }

    /// Sends `body` and returns that of the answer.
    pub(super) fn post(&self, body: &str, until: Instant) -> Result<Vec<u8>, Failure> {
        let Endpoint { path, authorization, .. } = self;
        let host = match &self.socket {
            Socket::Tcp(name, port) => format!("{name}:{port}"),
            Socket::Unix(_) => "localhost".to_owned(),
        };
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\n{}Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            authorization.expose(),
            body.len(),
        );
        let answer = match &self.socket {
            Socket::Tcp(name, port) => exchange(&mut tcp(name, *port, until)?, &request, until)?,
            Socket::Unix(path) => exchange(&mut unix(path)?, &request, until)?,
        };
        body_of(&answer).map_err(Failure::Other)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(name, port) => write!(f, "http://{name}:{port}{}", self.path),
            Socket::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Connects to the first address that takes it.
fn tcp(name: &str, port: u16, until: Instant) -> Result<TcpStream, Failure> {
    let mut failure = Failure::Other("the name has no address".to_owned());
    for address in addresses(name, port)? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

/// The usual name needs no name server, which may not answer.
fn addresses(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if name == "localhost" {
        let here = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        return Ok(here.map(|address| (address, port).into()).into());
    }
    Ok((name, port).to_socket_addrs()?.collect())
}

/// Connects at once or not at all: a server that takes no connections any more would be waited for without end.
fn unix(path: &PathBuf) -> Result<UnixStream, Failure> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(io::Error::from)?;
    let address = UnixAddr::new(path).map_err(io::Error::from)?;
    connect(fd.as_raw_fd(), &address).map_err(io::Error::from)?;
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A stream whose waiting can be limited.
trait Limited: Read + Write {
    fn limit(&self, time: Duration) -> io::Result<()>;
}

impl Limited for TcpStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Limited for UnixStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

fn exchange(stream: &mut impl Limited, request: &str, until: Instant) -> Result<Vec<u8>, Failure> {
    stream.limit(left(until)?)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        stream.limit(left(until)?)?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if is_whole(&answer) {
            return Ok(answer);
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(Failure::Other(format!(
                "the answer is longer than {LONGEST_ANSWER} bytes"
            )));
        }
    }
}

fn left(until: Instant) -> Result<Duration, Failure> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failure::Silent) } else { Ok(left) }
}

/// Whether as much has come as the header announces: some servers leave the connection open.
fn is_whole(answer: &[u8]) -> bool {
    let Some((head, body)) = parts(answer) else { return false };
    let length = head.split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| body.len() >= length)
}

/// Head and body.
fn parts(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    Some((answer.get(..end)?, answer.get(end + 4..)?))
}

/// The body of an answer that says 200.
fn body_of(answer: &[u8]) -> Result<Vec<u8>, String> {
    let (head, body) = parts(answer).ok_or("the answer is not HTTP")?;
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let is_http = words.next().is_some_and(|word| word.starts_with(b"HTTP/"));
    match words.next() {
        Some(b"200") if is_http => Ok(body.to_vec()),
        Some(code) if is_http => {
            let code = String::from_utf8_lossy(code);
            Err(format!("status {code} {}", crate::parse::shown(words.next().unwrap_or_default())))
        }
        _ => Err("the answer is not HTTP".to_owned()),
    }
}

/// `%40` is `@`; a percent sign that begins no such thing stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let coded = tail.get(..2).and_then(crate::parse::hexadecimal);
        match (first, coded.and_then(|code| u8::try_from(code).ok())) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (digit, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = (bits >> shift & 63) as usize;
            text.push(if digit <= group.len() { DIGITS[index].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_taken_apart_and_shown_without_password() {
        for (url, shown) in [
            ("http://localhost:9001/RPC2", "http://localhost:9001/RPC2"),
            ("http://u:p%40w@host/RPC2", "http://host:80/RPC2"),
            ("http://[::1]:9001", "http://::1:9001/"),
            ("unix:///run/supervisor.sock", "unix:///run/supervisor.sock"),
            ("unix:/run/supervisor.sock", "unix:///run/supervisor.sock"),
        ] {
            assert_eq!(
                Endpoint::parse(url).map_err(|e| panic!("{url}: {e}")).unwrap().to_string(),
                shown
            );
        }
        for bad in [
            "",
            "https://h/",
            "http://",
            "http://h:x/",
            "http://h/a\r\nb",
            "unix://",
            "http://u@:1/",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
        let endpoint =
            Endpoint::parse("http://user:p%40w%zz@host/").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            endpoint.authorization.expose(),
            "Authorization: Basic dXNlcjpwQHclenoK\r\n".replace("enoK", "eno=")
        );
    }

    #[test]
    fn base64_has_the_vectors_of_its_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn only_a_whole_answer_that_says_200_is_one() {
        let body = |answer: &str| body_of(answer.as_bytes());
        assert_eq!(body("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody").unwrap(), b"body");
        assert_eq!(body("HTTP/1.1 401 No\r\n\r\n").unwrap_err(), "status 401 \"No\"");
        assert_eq!(body("SSH-2.0\r\n\r\n").unwrap_err(), "the answer is not HTTP");
        assert!(body("HTTP/1.1 200 OK\r\n").is_err());
        assert!(is_whole(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab"));
        assert!(!is_whole(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nab"));
        assert!(!is_whole(b"HTTP/1.0 200 OK\r\n\r\nab"), "the end of the connection tells");
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = is_whole(&bytes);
            let _ = body_of(&bytes);
        }

        #[test]
        fn any_url_is_survived(url in "(http://|unix:)?\\PC{0,30}") {
            let _ = Endpoint::parse(&url);
        }
    }
}
