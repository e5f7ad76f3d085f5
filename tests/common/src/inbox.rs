//! A receiver of webhooks that keeps what it gets.
//!
//! It answers 200 unless told otherwise, as a chat or a pager would. It must not know who posts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::serve::{Serve, Told};
use crate::wait::{SOON, wait_for};

/// A post and when it came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When its body was whole.
    pub at: Instant,
    /// The JSON, or the text that was none.
    pub body: Value,
}

/// What was posted, in order.
pub struct Inbox {
    serve: Serve,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    arrivals: Mutex<Vec<Arrival>>,
    refusals: AtomicUsize,
}

impl Inbox {
    /// An empty one on a free port.
    #[must_use]
    pub fn start() -> Inbox {
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        let serve = Serve::start(move |asked| {
            let refused = shared
                .refusals
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            let status = if refused.is_ok() { 503 } else { 200 };
            if status == 200 {
                let text = String::from_utf8_lossy(&asked.body).into_owned();
                let body = serde_json::from_slice(&asked.body).unwrap_or(Value::String(text));
                shared.arrivals.lock().unwrap().push(Arrival { at: Instant::now(), body });
            }
            Told { status, content_type: "text/plain", body: Vec::new() }
        });
        Inbox { serve, kept }
    }

    /// Where to post.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.serve.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serve.address
    }

    /// Refuses the next `count` posts with 503.
    pub fn refuse(&self, count: usize) {
        self.kept.refusals.store(count, Ordering::Relaxed);
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        self.arrivals().into_iter().map(|arrival| arrival.body).collect()
    }

    /// Everything so far, with its times.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.kept.arrivals.lock().unwrap().clone()
    }

    /// Waits for a body that `wanted` accepts.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || {
            let all = self.all();
            all.iter().find(|body| wanted(body)).cloned().ok_or_else(|| format!("{all:#?}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::post;

    #[test]
    fn what_is_refused_is_not_kept() {
        let inbox = Inbox::start();
        inbox.refuse(1);
        assert_eq!(post(inbox.address(), "/hook", &json!(1)).unwrap().status, 503);
        assert_eq!(post(inbox.address(), "/hook", &json!(2)).unwrap().status, 200);
        assert_eq!(inbox.wait("two", |body| *body == json!(2)), json!(2));
        assert_eq!(inbox.all().len(), 1);
    }
}
