//! What a server counts: answers by status, connections it had to close.
//!
//! A client that is refused learns why; these tell everybody else. It must not know any route.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::bridge;

/// Counters of one server, in a registry of its own.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) registry: Registry,
    answers: IntCounterVec,
    closed: IntCounterVec,
}

impl Metrics {
    /// `server` is the value of the label `server`.
    pub(super) fn new(server: &'static str) -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            let options = Opts::new(name, help).const_label("server", server);
            bridge::register(&registry, IntCounterVec::new(options, &[label]))
        };
        Metrics {
            answers: counters("vigie_http_requests_total", "Answers by status code.", "code"),
            closed: counters(
                "vigie_http_connections_closed_total",
                "Connections closed because of what the client did, by reason.",
                "reason",
            ),
            registry,
        }
    }

    pub(super) fn answered(&self, status: http::StatusCode) {
        self.answers.with_label_values(&[status.as_str()]).inc();
    }

    pub(super) fn closed(&self, why: Closed) {
        self.closed.with_label_values(&[why.label()]).inc();
    }
}

/// Why a connection was closed that the client would have kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// No TLS, or none that both sides speak, or a certificate that is not taken.
    Handshake,
    /// The handshake of TLS took too long.
    SlowHandshake,
    /// No request for longer than is allowed.
    Idle,
    /// The head of a request did not come in time.
    SlowHead,
    /// The client did not read its answer.
    Unread,
    /// What came was no HTTP.
    NotHttp,
    /// The client left in the middle.
    BrokenOff,
    /// It waited longest when another needed the place.
    CrowdedOut,
}

impl Closed {
    /// The label `reason`.
    const fn label(self) -> &'static str {
        match self {
            Closed::Handshake => "handshake",
            Closed::SlowHandshake => "slow_handshake",
            Closed::Idle => "idle",
            Closed::SlowHead => "slow_head",
            Closed::Unread => "unread_answer",
            Closed::NotHttp => "not_http",
            Closed::BrokenOff => "broken_off",
            Closed::CrowdedOut => "crowded_out",
        }
    }
}
