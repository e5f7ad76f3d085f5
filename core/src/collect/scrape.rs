//! One scrape: the lane's run, the scrape's own series, the joined page.
//!
//! Equal scrapes that arrive while one is under way share its answer; different ones wait for
//! their turn. It must not know HTTP, nor any collector.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Filter;
use super::lane::{Lane, Order, Outcome};
use super::registry::{Registry, SlotState, lock};
use super::selfmetrics::SelfMetrics;
use crate::encode::{Conflict, Format, TextSink, assemble};
use crate::metric::Family;

static DURATION: Family<1> = Family::gauge(
    "node_scrape_collector_duration_seconds",
    "Time that a collector took in this scrape.",
    ["collector"],
);
static SUCCESS: Family<1> = Family::gauge(
    "node_scrape_collector_success",
    "Whether a collector succeeded in this scrape.",
    ["collector"],
);

/// Longest time for one collector that sets no limit itself.
const COLLECTOR_LIMIT: Duration = Duration::from_secs(4);
/// The whole scrape, where the client does not say: just under Prometheus' default of 10 s.
const SCRAPE_LIMIT: Duration = Duration::from_millis(9_500);

/// Scrapes one registry.
pub struct Scraper {
    lane: Lane,
    metrics: Arc<SelfMetrics>,
    /// Held by the scrape under way; keeps the buffers between scrapes.
    turn: Mutex<TextSink>,
    flights: Mutex<HashMap<(Format, Filter), Arc<Flight>>>,
}

/// The page of one scrape.
#[derive(Debug)]
pub struct Scraped {
    /// The exposition.
    pub body: bytes::Bytes,
    /// Its format.
    pub format: Format,
}

/// A scrape that others may join.
#[derive(Default)]
struct Flight {
    answer: Mutex<Option<Arc<Scraped>>>,
    landed: Condvar,
}

impl Scraper {
    /// A scraper of `registry`, with counters of its own.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Scraper::counting_in(registry, Arc::default())
    }

    /// A scraper that goes on with the counters of another.
    #[must_use]
    pub fn counting_in(registry: Registry, metrics: Arc<SelfMetrics>) -> Self {
        Scraper {
            lane: Lane::new(Arc::new(registry)),
            metrics,
            turn: Mutex::default(),
            flights: Mutex::default(),
        }
    }

    /// The collectors.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.lane.registry()
    }

    /// Scrapes, blocking: call it where blocking is allowed. `timeout` is the client's own
    /// (`X-Prometheus-Scrape-Timeout-Seconds`), a margin for the way back is taken off here.
    #[must_use]
    pub fn scrape(
        &self,
        format: Format,
        filter: Filter,
        timeout: Option<Duration>,
    ) -> Arc<Scraped> {
        let key = (format, filter);
        let (flight, own) = {
            let mut flights = lock(&self.flights);
            let known = flights.get(&key).cloned();
            let own = known.is_none();
            let flight = known.unwrap_or_default();
            if own {
                flights.insert(key.clone(), flight.clone());
            }
            (flight, own)
        };
        if !own {
            return flight.wait();
        }
        let deadline = Instant::now() + timeout.map_or(SCRAPE_LIMIT, less_margin);
        let scraped = Arc::new(self.run(format, key.1.clone(), deadline));
        lock(&self.flights).remove(&key);
        flight.land(scraped.clone());
        scraped
    }

    fn run(&self, format: Format, filter: Filter, deadline: Instant) -> Scraped {
        let mut own = lock(&self.turn);
        let left = deadline.saturating_duration_since(Instant::now());
        // Half of the time for one collector leaves the other half for all that follow it.
        let limit = COLLECTOR_LIMIT.min(left / 2);
        let outcomes = self.lane.run(Order { format, filter, deadline, limit });
        own.reset(format);
        write_outcomes(&mut own, self.registry(), &outcomes);
        self.metrics.count(self.registry(), &outcomes);
        self.metrics.write(&mut own);
        Scraped { body: self.join(format, &own, &outcomes).into(), format }
    }

    fn join(&self, format: Format, own: &TextSink, outcomes: &[Outcome]) -> Vec<u8> {
        let slots = self.registry().slots();
        let with_output = outcomes.iter().filter(|(_, state, _)| has_output(state));
        let borrowed: Vec<_> =
            with_output.filter_map(|(at, ..)| Some((*at, slots[*at].take()?))).collect();
        let mut sinks: Vec<&TextSink> = borrowed.iter().map(|(_, work)| &work.sink).collect();
        sinks.push(own);
        let mut body = Vec::with_capacity(64 << 10);
        for conflict in assemble(format, &sinks, &mut body) {
            let (Conflict::Kind { sink, .. } | Conflict::Series { sink, .. }) = &conflict;
            let collector =
                borrowed.get(*sink).map_or("vigie", |(at, _)| slots[*at].bound.info.name);
            self.metrics.conflict(collector, &conflict);
        }
        for (at, work) in borrowed {
            slots[at].give_back(work);
        }
        body
    }
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraper").field("registry", self.registry()).finish_non_exhaustive()
    }
}

impl Flight {
    fn wait(&self) -> Arc<Scraped> {
        let mut answer = lock(&self.answer);
        loop {
            if let Some(scraped) = &*answer {
                return scraped.clone();
            }
            answer = self.landed.wait(answer).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn land(&self, scraped: Arc<Scraped>) {
        *lock(&self.answer) = Some(scraped);
        self.landed.notify_all();
    }
}

/// A tenth of the client's time, at most half a second, is for the way back.
fn less_margin(timeout: Duration) -> Duration {
    let timeout = timeout.min(Duration::from_secs(3600));
    timeout - (timeout / 10).min(Duration::from_millis(500))
}

const fn has_output(state: &SlotState) -> bool {
    matches!(state, SlotState::Ok | SlotState::NoData(_) | SlotState::Failed { .. })
}

fn write_outcomes(sink: &mut TextSink, registry: &Registry, outcomes: &[Outcome]) {
    let name = |at: usize| registry.slots()[at].bound.info.name;
    let mut duration = DURATION.open(sink);
    for (at, _, took) in outcomes {
        duration.emit([name(*at)], took.as_secs_f64());
    }
    let mut success = SUCCESS.open(sink);
    for (at, state, _) in outcomes {
        success.emit([name(*at)], state.is_ok());
    }
}
