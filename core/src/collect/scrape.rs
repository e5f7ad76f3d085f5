//! One scrape: the lane's run, the scrape's own series, the joined page.
//!
//! Equal scrapes that arrive while one is under way share its answer; different ones wait for
//! their turn. It must not know HTTP, nor any collector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::timeout_at;

use super::Filter;
use super::lane::{Lane, Order, Outcome};
use super::registry::{Registry, SlotState, lock};
use super::selfmetrics::SelfMetrics;
use crate::encode::{Conflict, Format, Gzip, TextSink, assemble};
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
    shows_itself: bool,
    /// Held by the scrape under way.
    turn: Turn<()>,
    desk: Mutex<Desk>,
    flights: Mutex<HashMap<Wish, watch::Receiver<Option<Bytes>>>>,
}

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// The format of the page.
    pub format: Format,
    /// The collectors.
    pub filter: Filter,
    /// Whether the page is compressed.
    pub gzip: bool,
}

/// Where pages are made; its buffers live on between scrapes.
#[derive(Default)]
struct Desk {
    own: TextSink,
    page: Vec<u8>,
    gzip: Gzip,
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
            shows_itself: true,
            turn: Turn::default(),
            desk: Mutex::default(),
            flights: Mutex::default(),
        }
    }

    /// Whether a scrape tells of vigie's own work too (`--web.disable-exporter-metrics`).
    #[must_use]
    pub fn shows_itself(mut self, shown: bool) -> Self {
        self.shows_itself = shown;
        self
    }

    /// The counters of its own.
    #[must_use]
    pub fn metrics(&self) -> &Arc<SelfMetrics> {
        &self.metrics
    }

    /// The collectors.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.lane.registry()
    }

    /// The page that is wished for; `None` only when the runtime ends meanwhile. `timeout` is the
    /// client's own (`X-Prometheus-Scrape-Timeout-Seconds`), a margin for the way back is taken off
    /// here.
    ///
    /// A scrape that has begun goes on to its end even when nobody waits for it any more.
    pub async fn scrape(self: &Arc<Self>, wish: Wish, timeout: Option<Duration>) -> Option<Bytes> {
        let mut flight = self.join(wish, timeout);
        flight.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The flight that carries such a page: the one under way, or a new one.
    fn join(
        self: &Arc<Self>,
        wish: Wish,
        timeout: Option<Duration>,
    ) -> watch::Receiver<Option<Bytes>> {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&wish) {
            return flight.clone();
        }
        let (land, flight) = watch::channel(None);
        flights.insert(wish.clone(), flight.clone());
        let deadline = Instant::now() + timeout.map_or(SCRAPE_LIMIT, less_margin);
        let listed = Listed { scraper: self.clone(), wish };
        tokio::spawn(async move {
            let page = listed.scraper.run(listed.wish.clone(), deadline).await;
            // Who asks from now on gets a page of its own.
            drop(listed);
            land.send_replace(page);
        });
        flight
    }

    async fn run(self: &Arc<Self>, wish: Wish, deadline: Instant) -> Option<Bytes> {
        let Wish { format, filter, gzip } = wish;
        let Ok(_turn) = timeout_at(deadline.into(), self.turn.lock()).await else {
            // Another scrape waits for something that hangs: an answer in time, though without samples.
            return Some(self.page(format, gzip, &self.skipped(&filter)));
        };
        let scraper = self.clone();
        let finish = move |outcomes: &[Outcome]| scraper.page(format, gzip, outcomes);
        let order = Order { format, filter, deadline, limit: COLLECTOR_LIMIT };
        self.lane.run(order, finish).await
    }

    /// The outcomes of a run that did not begin.
    fn skipped(&self, filter: &Filter) -> Vec<Outcome> {
        let slots = self.registry().slots().iter().enumerate();
        let wanted = slots.filter(|(_, slot)| filter.takes(slot.bound.info.name));
        wanted.map(|(at, _)| (at, SlotState::Skipped, Duration::ZERO)).collect()
    }

    fn page(&self, format: Format, gzip: bool, outcomes: &[Outcome]) -> Bytes {
        let desk = &mut *lock(&self.desk);
        desk.own.reset(format);
        write_outcomes(&mut desk.own, self.registry(), outcomes);
        self.metrics.count(self.registry(), outcomes);
        if self.shows_itself {
            self.metrics.write(&mut desk.own);
        } else {
            self.metrics.write_subject(&mut desk.own);
        }
        self.assemble(format, desk, outcomes);
        if gzip { desk.gzip.pack(&desk.page).into() } else { Bytes::copy_from_slice(&desk.page) }
    }

    fn assemble(&self, format: Format, desk: &mut Desk, outcomes: &[Outcome]) {
        let slots = self.registry().slots();
        let with_output = outcomes.iter().filter(|(_, state, _)| has_output(state));
        let borrowed: Vec<_> =
            with_output.filter_map(|(at, ..)| Some((*at, slots[*at].take()?))).collect();
        let mut sinks: Vec<&TextSink> = borrowed.iter().map(|(_, work)| &work.sink).collect();
        sinks.push(&desk.own);
        desk.page.clear();
        for conflict in assemble(format, &sinks, &mut desk.page) {
            let (Conflict::Kind { sink, .. } | Conflict::Series { sink, .. }) = &conflict;
            let collector =
                borrowed.get(*sink).map_or("vigie", |(at, _)| slots[*at].bound.info.name);
            self.metrics.conflict(collector, &conflict);
        }
        for (at, work) in borrowed {
            slots[at].give_back(work);
        }
    }
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraper").field("registry", self.registry()).finish_non_exhaustive()
    }
}

/// A flight on the board, until dropped.
struct Listed {
    scraper: Arc<Scraper>,
    wish: Wish,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.scraper.flights).remove(&self.wish);
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
