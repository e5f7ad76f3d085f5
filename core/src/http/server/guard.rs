//! How long a connection may go on keeping us waiting.
//!
//! One small machine per connection with the time as an argument: it is told what happened and
//! answers when to give up. Slow heads, idle connections and answers nobody reads are all decided
//! here. It must not know sockets, timers or hyper.

use std::time::{Duration, Instant};

use super::Limits;
use super::metrics::Closed;

/// What a connection is doing, and since when.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Limits,
    phase: Phase,
    since: Instant,
    /// The socket was asked in this phase and had nothing.
    asked: bool,
    writing: Option<Writing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connected, or inside a head.
    Head,
    /// Between two requests.
    Idle,
    /// Inside a body; the exchange itself bounds it, because it can still answer 408.
    Body,
    /// We are at work, not the client.
    Working,
}

/// An answer that the client has not taken whole.
#[derive(Clone, Copy, Debug)]
struct Writing {
    started: Instant,
    progress: Instant,
    bytes: u64,
}

impl Guard {
    /// A client has connected.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Guard { limits, phase: Phase::Head, since: now, asked: false, writing: None }
    }

    /// The connection is secured: the time for the first head begins.
    pub(super) fn opened(&mut self, now: Instant) {
        self.enter(Phase::Head, now);
    }

    /// Bytes have come; `in_head` when they end inside a head.
    pub(super) fn read(&mut self, in_head: bool, now: Instant) {
        if in_head && self.phase == Phase::Idle {
            self.enter(Phase::Head, now);
        }
    }

    /// The client has sent nothing more yet.
    pub(super) fn starved(&mut self) {
        self.asked = true;
    }

    /// A whole head has come, a body is still to come.
    pub(super) fn body(&mut self, now: Instant) {
        self.enter(Phase::Body, now);
        // hyper may have looked before it handed over the head.
        self.asked = true;
    }

    /// The request is whole.
    pub(super) fn working(&mut self, now: Instant) {
        self.enter(Phase::Working, now);
    }

    /// The answer is ready; `in_head` when a part of the next head is already here.
    pub(super) fn answered(&mut self, in_head: bool, now: Instant) {
        self.enter(if in_head { Phase::Head } else { Phase::Idle }, now);
    }

    /// The client has taken `bytes` of an answer, and more wait.
    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        let writing = self.writing.get_or_insert(Writing { started: now, progress: now, bytes: 0 });
        if bytes > 0 {
            writing.bytes += bytes as u64;
            writing.progress = now;
        }
    }

    /// The client has taken all we had.
    pub(super) fn flushed(&mut self, now: Instant) {
        if self.writing.take().is_some() && self.phase == Phase::Idle {
            self.since = now;
        }
    }

    /// Whether an answer waits for the client.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// When to close, if nothing happens until then; nothing while we are at work ourselves.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let reading = match self.phase {
            Phase::Head => Some(self.since + self.limits.head),
            Phase::Idle => Some(self.since + self.limits.idle),
            Phase::Body | Phase::Working => None,
        };
        let writing = self.writing.map(|writing| self.write_deadline(&writing));
        [reading, writing].into_iter().flatten().min()
    }

    /// Since when the client keeps us waiting; `None` while it waits for us, be it that we have
    /// not yet looked what it sent.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match self.writing {
            Some(writing) => Some(writing.started),
            None => (self.asked && self.phase != Phase::Working).then_some(self.since),
        }
    }

    /// Nothing has begun that would be lost if the connection ended now.
    pub(super) fn is_between(&self) -> bool {
        self.asked && matches!(self.phase, Phase::Head | Phase::Idle) && self.writing.is_none()
    }

    /// What the deadline was for.
    pub(super) fn expired(&self) -> Closed {
        match self.phase {
            _ if self.writing.is_some() => Closed::Unread,
            Phase::Head => Closed::SlowHead,
            Phase::Idle | Phase::Body | Phase::Working => Closed::Idle,
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
        self.asked = false;
    }

    /// Both a pause and a trickle end it: each byte taken buys time at the least rate allowed,
    /// but never more than one whole stall at once.
    fn write_deadline(&self, writing: &Writing) -> Instant {
        let stall = self.limits.write_stall;
        let rate = self.limits.write_rate.max(1);
        let bought = Duration::from_millis(writing.bytes.saturating_mul(1000) / rate);
        (writing.started + bought + stall).min(writing.progress + stall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script {
        start: Instant,
        guard: Guard,
    }

    impl Script {
        fn new() -> Self {
            let limits = Limits {
                head: Duration::from_secs(10),
                idle: Duration::from_secs(100),
                write_stall: Duration::from_secs(5),
                write_rate: 1000,
                ..Limits::default()
            };
            let start = Instant::now();
            Script { start, guard: Guard::new(limits, start) }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn deadline(&self) -> Option<u64> {
            self.guard.deadline().map(|at| (at - self.start).as_secs())
        }
    }

    #[test]
    fn a_byte_does_not_buy_time_for_the_head() {
        let mut script = Script::new();
        assert_eq!(script.deadline(), Some(10));
        script.guard.read(true, script.at(9));
        assert_eq!(script.deadline(), Some(10));
    }

    #[test]
    fn between_requests_time_is_longer_until_a_head_begins() {
        let mut script = Script::new();
        script.guard.working(script.at(1));
        assert_eq!((script.deadline(), script.guard.waiting_since()), (None, None));
        script.guard.answered(false, script.at(2));
        assert_eq!(script.deadline(), Some(102));
        script.guard.read(true, script.at(50));
        assert_eq!(script.deadline(), Some(60));
        script.guard.working(script.at(51));
        script.guard.answered(true, script.at(52));
        assert_eq!(script.deadline(), Some(62));
    }

    #[test]
    fn a_client_keeps_us_waiting_only_once_we_have_looked() {
        let mut script = Script::new();
        assert_eq!(script.guard.waiting_since(), None);
        script.guard.starved();
        assert_eq!(script.guard.waiting_since(), Some(script.at(0)));
        script.guard.working(script.at(1));
        assert!(!script.guard.is_between());
        script.guard.answered(false, script.at(2));
        assert_eq!(script.guard.waiting_since(), None);
        script.guard.starved();
        assert!(script.guard.is_between());
    }

    #[test]
    fn an_answer_that_stalls_or_trickles_is_given_up() {
        let mut script = Script::new();
        script.guard.working(script.at(0));
        script.guard.wrote(0, script.at(1));
        assert_eq!(script.deadline(), Some(6));
        script.guard.wrote(1, script.at(5));
        assert_eq!(script.deadline(), Some(6), "a byte buys a millisecond");
        script.guard.wrote(100_000, script.at(6));
        assert_eq!(script.deadline(), Some(11), "a burst buys one stall, not a hundred seconds");
        assert_eq!(script.guard.waiting_since(), Some(script.at(1)));
        script.guard.flushed(script.at(7));
        assert_eq!(script.deadline(), None);
    }

    #[test]
    fn idle_time_begins_when_the_answer_has_gone() {
        let mut script = Script::new();
        script.guard.working(script.at(0));
        script.guard.wrote(10, script.at(0));
        script.guard.answered(false, script.at(0));
        script.guard.flushed(script.at(4));
        assert_eq!(script.deadline(), Some(104));
    }
}
