//! How long a peer is waited for, and how long it is left alone after it did not answer.
//!
//! A peer that hangs costs its time limit once, not at every scrape: the scrapes that follow are refused at once, for
//! a time that doubles. It must not know how the peer is spoken to.

use std::time::{Duration, Instant, SystemTime};

use vigie_core::collect::{CollectError, Scrape};

/// A peer that did not answer is left alone for so long at first, and for at most so long in the end.
const FIRST_REST: Duration = Duration::from_secs(20);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// The limit for one peer, and what is known of its silence.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    silence: Option<Silence>,
}

#[derive(Debug)]
struct Silence {
    /// What did not answer.
    what: String,
    since: SystemTime,
    rest: Duration,
}

impl Patience {
    /// Waits for answers for at most `limit` in each scrape.
    pub(crate) const fn new(limit: Duration) -> Self {
        Patience { limit, silence: None }
    }

    /// When the answers of this scrape must be there.
    ///
    /// # Errors
    /// While the peer is left alone: what did not answer, and when it is asked again.
    pub(crate) fn deadline(&self, scrape: &Scrape) -> Result<Instant, CollectError> {
        if let Some(silence) = &self.silence
            // A clock that was set back tells nothing: then the peer is asked.
            && let Ok(rested) = scrape.now.duration_since(silence.since)
            && let Some(rest) = silence.rest.checked_sub(rested)
        {
            let what = format!("{}; asked again in {} s", silence.what, rest.as_secs());
            return Err(CollectError::Other(what));
        }
        Ok(scrape.deadline.min(Instant::now() + self.limit))
    }

    /// The peer answered, if only to refuse.
    pub(crate) fn answered(&mut self) {
        self.silence = None;
    }

    /// The peer did not answer; returns the error that says so.
    pub(crate) fn silent(&mut self, scrape: &Scrape, what: String) -> CollectError {
        let before = self.silence.take();
        let rest = before.map_or(FIRST_REST, |silence| (silence.rest * 2).min(LONGEST_REST));
        self.silence = Some(Silence { what: what.clone(), since: scrape.now, rest });
        CollectError::Other(what)
    }

    /// How long a peer is waited for, for messages.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> Scrape {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        Scrape::new(now, Instant::now() + Duration::from_secs(60))
    }

    fn refused_at(patience: &Patience, seconds: u64) -> Option<String> {
        patience.deadline(&at(seconds)).err().map(|error| error.to_string())
    }

    #[test]
    fn a_silent_peer_is_left_alone_for_longer_and_longer() {
        let mut patience = Patience::new(Duration::from_secs(1));
        assert!(patience.deadline(&at(1000)).unwrap() < at(0).deadline);
        assert_eq!(patience.silent(&at(1000), "x is silent".into()).to_string(), "x is silent");
        assert_eq!(
            refused_at(&patience, 1005).unwrap(),
            "x is silent; asked again in 15 s",
            "a scrape meanwhile costs nothing"
        );
        assert_eq!(refused_at(&patience, 1021), None);
        let _ = patience.silent(&at(1021), "x is silent".into());
        assert!(refused_at(&patience, 1060).is_some() && refused_at(&patience, 1062).is_none());
        for _ in 0..10 {
            let _ = patience.silent(&at(2000), "x is silent".into());
        }
        assert!(refused_at(&patience, 2299).is_some() && refused_at(&patience, 2301).is_none());
    }

    #[test]
    fn an_answer_and_a_clock_set_back_end_the_rest() {
        let mut patience = Patience::new(Duration::from_secs(1));
        let _ = patience.silent(&at(1000), "x".into());
        assert_eq!(refused_at(&patience, 900), None);
        patience.answered();
        assert_eq!(refused_at(&patience, 1001), None);
    }

    #[test]
    fn the_limit_of_the_scrape_counts_when_it_is_nearer() {
        let near = Scrape::new(UNIX_EPOCH, Instant::now());
        assert_eq!(Patience::new(Duration::from_secs(9)).deadline(&near).unwrap(), near.deadline);
    }
}
