//! Figures of one router, one service or all, while lines come in.
//!
//! A group is a handful of counters and a sketch, so that its size does not depend on the number
//! of requests. It must not know how figures are shown.

use std::collections::HashMap;
use std::time::Duration;

use crate::record::Record;
use crate::sketch::Sketch;
use crate::slo::{Goal, Objective, Verdict};

/// More names than any proxy has routers; the rest share one group.
const MAX_GROUPS: usize = 10_000;
/// The name of that group.
const OTHERS: &str = "(others)";

/// All groups of a report.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) within: Vec<Duration>,
    pub(super) routers: Named,
    pub(super) services: Named,
}

impl Groups {
    /// `within` is ascending.
    pub(super) fn new(within: Vec<Duration>) -> Self {
        Groups { within, routers: Named::default(), services: Named::default() }
    }

    pub(super) fn add(&mut self, record: &Record<'_>) {
        let seconds = record.duration.map(|duration| duration.as_secs_f64());
        let bucket =
            record.duration.map(|duration| self.within.partition_point(|bound| *bound < duration));
        let point = Point { record, seconds, bucket };
        self.routers.group(&record.router, self.within.len()).add(&point);
        self.services.group(&record.service, self.within.len()).add(&point);
    }

    /// Every request has exactly one router, perhaps the empty one.
    pub(super) fn total(&self) -> Group {
        let mut total = Group::new("", self.within.len());
        self.routers.groups.iter().for_each(|group| total.merge(group));
        total
    }
}

/// Groups by name.
#[derive(Debug, Default)]
pub(super) struct Named {
    index: HashMap<Box<str>, usize>,
    pub(super) groups: Vec<Group>,
    last: usize,
}

impl Named {
    fn group(&mut self, name: &str, buckets: usize) -> &mut Group {
        // Neighbouring lines often share their router.
        let same = self.groups.get(self.last).is_some_and(|group| *group.name == *name);
        if !same {
            self.last = match self.index.get(name) {
                Some(index) => *index,
                None if self.groups.len() < MAX_GROUPS || name == OTHERS => {
                    self.insert(name, buckets)
                }
                None => return self.group(OTHERS, buckets),
            };
        }
        &mut self.groups[self.last]
    }

    fn insert(&mut self, name: &str, buckets: usize) -> usize {
        let index = self.groups.len();
        self.groups.push(Group::new(name, buckets));
        self.index.insert(name.into(), index);
        index
    }
}

/// A request with what is computed of it once.
struct Point<'r> {
    record: &'r Record<'r>,
    seconds: Option<f64>,
    bucket: Option<usize>,
}

/// Figures of one group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    pub(super) requests: u64,
    pub(super) codes: Vec<(u16, u64)>,
    pub(super) aborted: u64,
    pub(super) timed: u64,
    pub(super) nanos: u128,
    /// How many fell between a bound and the one before; the last is beyond all bounds.
    pub(super) buckets: Vec<u64>,
    pub(super) sketch: Sketch,
}

impl Group {
    fn new(name: &str, buckets: usize) -> Self {
        Group {
            name: name.into(),
            requests: 0,
            codes: Vec::new(),
            aborted: 0,
            timed: 0,
            nanos: 0,
            buckets: vec![0; buckets + 1],
            sketch: Sketch::default(),
        }
    }

    fn add(&mut self, point: &Point<'_>) {
        self.requests += 1;
        self.count_code(point.record.code, 1);
        self.aborted += u64::from(point.record.aborted.is_some());
        if let (Some(duration), Some(seconds), Some(bucket)) =
            (point.record.duration, point.seconds, point.bucket)
        {
            self.timed += 1;
            self.nanos += duration.as_nanos();
            self.buckets[bucket] += 1;
            self.sketch.add(seconds);
        }
    }

    fn count_code(&mut self, code: u16, count: u64) {
        match self.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, n)) => *n += count,
            None => self.codes.push((code, count)),
        }
    }

    fn merge(&mut self, other: &Group) {
        self.requests += other.requests;
        other.codes.iter().for_each(|(code, count)| self.count_code(*code, *count));
        self.aborted += other.aborted;
        self.timed += other.timed;
        self.nanos += other.nanos;
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, n)| *sum += n);
        self.sketch.merge(&other.sketch);
    }
}

/// An objective and what was seen of it.
#[derive(Debug)]
pub(super) struct Scored {
    pub(super) objective: Objective,
    pub(super) events: u64,
    pub(super) bad: u64,
    apdex: u64,
    nanos: u128,
    sketch: Sketch,
}

impl Scored {
    /// Which log a file belongs to is not known here: every file is taken for the one meant.
    pub(super) fn new(mut objective: Objective) -> Self {
        objective.select.matchers.retain(|matcher| matcher.name() != "source");
        Scored { objective, events: 0, bad: 0, apdex: 0, nanos: 0, sketch: Sketch::default() }
    }

    pub(super) fn add(&mut self, record: &Record<'_>) {
        let Some(event) = self.objective.judge("", record) else { return };
        self.events += 1;
        self.bad += u64::from(!event.good);
        self.apdex += event.apdex;
        self.nanos += event.duration.as_nanos();
        if matches!(self.objective.goal, Goal::Quantile { .. }) {
            self.sketch.add(event.duration.as_secs_f64());
        }
    }

    /// What was reached: a share of good events, or seconds.
    pub(super) fn value(&self) -> Option<f64> {
        let events = (self.events > 0).then_some(self.events as f64)?;
        match self.objective.goal {
            Goal::Below { .. } | Goal::Errors { .. } => Some(1.0 - self.bad as f64 / events),
            Goal::Mean(_) => Some(self.nanos as f64 / events / 1e9),
            Goal::Quantile { quantile, .. } => self.sketch.quantile(quantile),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let Some(value) = self.value() else { return Verdict::NoTraffic };
        let met = match (self.objective.goal.target(), self.objective.goal.limit()) {
            (Some(target), _) => value >= target,
            (None, Some(limit)) => value <= limit.as_secs_f64(),
            (None, None) => true,
        };
        if met { Verdict::Met } else { Verdict::Broken }
    }

    pub(super) fn apdex(&self) -> Option<f64> {
        let below = matches!(self.objective.goal, Goal::Below { .. });
        (below && self.events > 0).then(|| self.apdex as f64 / 2.0 / self.events as f64)
    }
}
