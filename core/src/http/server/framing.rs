//! Where one request ends and the next begins, told from the raw bytes.
//!
//! hyper drops a `Content-Length` beside a `Transfer-Encoding` and folds repeated lengths, so no
//! handler can see that a client contradicts itself. This observer can: it reads along, frames
//! the bytes and remembers the first request that does. It must not change or delay a byte.

/// Reads along with what a client sends.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    head: Head,
    heads: u64,
    refused: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first byte of a request; empty lines are skipped (RFC 9112, section 2.2).
    #[default]
    Between,
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    Trailers,
    /// Nothing more can be told; hyper has refused, or is about to refuse, this connection.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    /// Reads along. A line longer than `head_bytes` ends the reading, as it ends hyper's.
    pub(super) fn feed(&mut self, mut bytes: &[u8], head_bytes: usize) {
        while let Some(&first) = bytes.first() {
            match &mut self.state {
                State::Lost => return,
                State::Between if matches!(first, b'\r' | b'\n') => bytes = &bytes[1..],
                State::Between => self.state = State::RequestLine,
                State::Body(left) | State::Chunk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                    if let State::Body(0) = self.state {
                        self.state = State::Between;
                    } else if let State::Chunk(0) = self.state {
                        self.state = State::ChunkSize;
                    }
                }
                _ => {
                    let end = bytes.iter().position(|&byte| byte == b'\n');
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    self.line.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if self.line.len() > head_bytes {
                        self.state = State::Lost;
                    } else if end.is_some() {
                        self.end_of_line();
                        self.line.clear();
                    }
                }
            }
        }
    }

    /// Whether the bytes so far end inside a head.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.state, State::RequestLine | State::Headers)
    }

    /// Whether the `nth` request of the connection, from 1, has contradicted itself.
    pub(super) fn refuses(&self, nth: u64) -> bool {
        self.refused.is_some_and(|refused| refused <= nth)
    }

    fn end_of_line(&mut self) {
        let line = self.line.trim_ascii();
        match self.state {
            State::RequestLine => {
                self.head = Head::default();
                self.heads += 1;
                self.state = State::Headers;
            }
            State::Headers if line.is_empty() => self.end_of_head(),
            State::Headers => self.header(),
            // The line after a chunk's data is empty, the one that says a size is not.
            State::ChunkSize if line.is_empty() => {}
            State::ChunkSize => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
                self.state = match number(digits, 16) {
                    Some(0) => State::Trailers,
                    Some(size) => State::Chunk(size),
                    None => State::Lost,
                };
            }
            State::Trailers if line.is_empty() => self.state = State::Between,
            _ => {}
        }
    }

    fn header(&mut self) {
        let colon = self.line.iter().position(|&byte| byte == b':').unwrap_or(self.line.len());
        let (name, value) = self.line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let second = self.head.length.is_some() || self.head.chunked;
            self.head.length = number(value, 10);
            if second || self.head.length.is_none() {
                self.refuse();
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // Only `chunked` alone is known to us; anything else could hide another framing.
            let known = value.eq_ignore_ascii_case(b"chunked");
            if self.head.length.is_some() || self.head.chunked || !known {
                self.refuse();
            }
            self.head.chunked = true;
        }
    }

    fn end_of_head(&mut self) {
        self.state = match self.head {
            _ if self.refused.is_some() => State::Lost,
            Head { chunked: true, .. } => State::ChunkSize,
            Head { length: Some(length @ 1..), .. } => State::Body(length),
            _ => State::Between,
        };
    }

    fn refuse(&mut self) {
        self.refused.get_or_insert(self.heads);
    }
}

/// Digits only: a sign, a blank or a separator is not a number here.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits.trim_ascii()).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| u64::from_str_radix(text, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds in pieces of `step` bytes, which must not matter.
    fn framing(bytes: &[u8], step: usize) -> Framing {
        let mut framing = Framing::default();
        for piece in bytes.chunks(step.max(1)) {
            framing.feed(piece, 8192);
        }
        framing
    }

    #[test]
    fn requests_are_told_apart() {
        let bytes = b"\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /\
            POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n\
            GET / HTTP/1.1\nHost: x\n\nGET / H";
        for step in [1, 2, 3, 7, 1000] {
            let framing = framing(bytes, step);
            assert_eq!((framing.heads, framing.refused), (3, None), "{step}");
            assert!(framing.in_head());
        }
    }

    #[test]
    fn contradictions_are_refused_at_their_request() {
        for head in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 5, 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            let bytes = format!("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n{head}\r\n");
            for step in [1, 5, 1000] {
                let framing = framing(bytes.as_bytes(), step);
                assert!(!framing.refuses(1) && framing.refuses(2), "{head}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_tell_the_same(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(b"\r\n: 0123".to_vec()),
            ], 0..400),
            step in 1usize..50,
        ) {
            let (whole, pieces) = (framing(&bytes, 400), framing(&bytes, step));
            prop_assert_eq!(whole.state, pieces.state);
            prop_assert_eq!((whole.heads, whole.refused), (pieces.heads, pieces.refused));
        }
    }
}
