//! The smallest HTTP server that a test needs.
//!
//! One thread accepts, one thread per connection reads a request and writes the answer of a function.
//! It must not know what is asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request, its body whole.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    last: bool,
}

/// What is answered.
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// A server on a free port of the loopback, closed with its value.
pub(crate) struct Serve {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Serve {
    pub(crate) fn start(answer: impl Fn(Asked) -> Told + Send + Sync + 'static) -> Serve {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let answer = Arc::new(answer);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || converse(stream, &*answer));
            }
        });
        Serve { address, stop, accepting: Some(accepting) }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; when even that fails there is nobody to wake.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

/// Answers the requests of one connection, as many as the client sends.
fn converse(stream: TcpStream, answer: &dyn Fn(Asked) -> Told) {
    drop(stream.set_read_timeout(Some(Duration::from_secs(30))));
    let Ok(reading) = stream.try_clone() else { return };
    let (mut reading, mut writing) = (BufReader::new(reading), stream);
    while let Some(asked) = read_request(&mut reading) {
        let last = asked.last;
        let told = answer(asked);
        let head = format!(
            "HTTP/1.1 {} Told\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            told.status,
            told.content_type,
            told.body.len()
        );
        let whole = [head.into_bytes(), told.body].concat();
        if writing.write_all(&whole).is_err() || last {
            return;
        }
    }
}

fn read_request(reading: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reading.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut last) = (0, false);
    loop {
        line.clear();
        reading.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        last |= name.eq_ignore_ascii_case("connection") && value.trim() == "close";
    }
    let mut body = vec![0; length];
    reading.read_exact(&mut body).ok()?;
    Some(Asked { path, body, last })
}
