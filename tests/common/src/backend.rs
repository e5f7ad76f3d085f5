//! A small gallery to be served through a proxy, good, slow or failing at a word.
//!
//! The story needs a backend whose trouble begins and ends when the test says so. It must not know
//! the proxy before it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::serve::{Asked, Serve, Told};

/// A gallery of pictures.
pub struct Backend {
    serve: Serve,
    mood: Arc<Mood>,
}

#[derive(Default)]
struct Mood {
    delay_ms: AtomicU64,
    /// The status of every answer; 0 for what belongs to the path.
    status: AtomicUsize,
    answered: AtomicUsize,
}

impl Backend {
    /// Starts in good health.
    #[must_use]
    pub fn start() -> Backend {
        let mood = Arc::new(Mood::default());
        let shared = Arc::clone(&mood);
        Backend { serve: Serve::start(move |asked| shared.answer(&asked)), mood }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serve.address
    }

    /// Every answer takes this long from now on.
    pub fn turn_slow(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.mood.delay_ms.store(millis, Ordering::Relaxed);
    }

    /// Every answer has this status from now on.
    pub fn fail(&self, status: u16) {
        self.mood.status.store(usize::from(status), Ordering::Relaxed);
    }

    /// Good again.
    pub fn heal(&self) {
        self.mood.delay_ms.store(0, Ordering::Relaxed);
        self.mood.status.store(0, Ordering::Relaxed);
    }

    /// Answers given so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.mood.answered.load(Ordering::Relaxed)
    }
}

impl Mood {
    fn answer(&self, asked: &Asked) -> Told {
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
        self.answered.fetch_add(1, Ordering::Relaxed);
        let forced = self.status.load(Ordering::Relaxed);
        match u16::try_from(forced) {
            Ok(status) if status != 0 => {
                Told { status, content_type: "text/plain", body: b"out of order".to_vec() }
            }
            _ => gallery(&asked.path),
        }
    }
}

/// A page of thumbnails, and pictures of a few kilobytes.
fn gallery(path: &str) -> Told {
    match path {
        "/" => {
            let pictures: Vec<String> =
                (1..=6).map(|n| format!("<img src=\"/photo/{n}.jpg\">")).collect();
            let page = format!("<!doctype html><title>Gallery</title>{}", pictures.join(""));
            Told { status: 200, content_type: "text/html", body: page.into_bytes() }
        }
        _ if path.starts_with("/photo/") => {
            Told { status: 200, content_type: "image/jpeg", body: vec![0xff; 4096] }
        }
        _ => Told { status: 404, content_type: "text/plain", body: b"no such page".to_vec() },
    }
}
