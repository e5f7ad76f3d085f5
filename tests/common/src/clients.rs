//! Visitors of the gallery: a few threads that ask again and again until they are stopped.
//!
//! A service level needs traffic to be a level of. It must not know what answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::get;

const PATHS: &[&str] = &["/", "/photo/1.jpg", "/photo/2.jpg", "/photo/3.jpg", "/album/7"];

/// Visitors that go on until the value is dropped.
pub struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// `count` visitors, each with a pause between its requests.
    #[must_use]
    pub fn visit(address: SocketAddr, count: usize, pause: Duration) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let visitor = |first: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                for path in PATHS.iter().cycle().skip(first) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if get(address, path).is_ok() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::sleep(pause);
                }
            })
        };
        let threads = (0..count).map(visitor).collect();
        Clients { stop, answered, threads }
    }

    /// Requests that were answered so far, whatever the status.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends them home and gives the number of requests that were answered.
    pub fn stop(mut self) -> usize {
        self.end();
        self.answered()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.end();
    }
}
