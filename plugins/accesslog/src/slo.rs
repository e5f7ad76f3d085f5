//! Objectives: what a service promises, and what one request means for the promise.
//!
//! "Response time under 200 ms" says nothing until it is a share, a mean or a percentile, so an
//! objective is one of these. The live windows and the offline report judge with the same code;
//! it must not know clocks, windows or alerts.

use std::time::Duration;

use vigie_core::alert::Matcher;

use crate::record::Record;

/// A promise about a part of the requests.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Unique; the label `slo`.
    pub name: String,
    /// Which requests it is about.
    pub select: Select,
    /// What is promised.
    pub goal: Goal,
    /// Length of the window that the plain threshold looks at; zero for none.
    pub window: Duration,
    /// Time over which the error budget is given.
    pub period: Duration,
    /// Fewer events than these prove nothing.
    pub min_events: u64,
    /// What an exchange that was cut short counts for.
    pub client_aborts: ClientAborts,
    /// Whether answers of the proxy itself count.
    pub proxy_answers: bool,
    /// Whether upgraded connections (status 101) count for latency.
    pub upgrade: bool,
    /// Alert when nothing was selected for so long.
    pub no_data: Option<Duration>,
    /// What to alert about.
    pub alerts: AlertKinds,
    /// The label `severity` of the threshold's alert.
    pub severity: String,
    /// Further labels of its alerts.
    pub labels: Vec<(String, String)>,
}

/// What to alert about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertKinds {
    /// The error budget burns too fast.
    pub burn: bool,
    /// The promise is broken over the window.
    pub window: bool,
    /// The promise is broken over the period.
    pub period: bool,
}

/// What is promised.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// At least the share `target` of the events takes at most `threshold`.
    Below {
        /// The longest good answer.
        threshold: Duration,
        /// Share of good events, between 0 and 1.
        target: f64,
    },
    /// At least the share `target` of the events has none of these codes.
    Errors {
        /// What counts as an error.
        codes: Codes,
        /// Share of good events, between 0 and 1.
        target: f64,
    },
    /// The mean duration over the window is at most this.
    Mean(Duration),
    /// A quantile of the durations over the window is at most `limit`.
    Quantile {
        /// Between 0 and 1.
        quantile: f64,
        /// The longest it may be.
        limit: Duration,
    },
}

impl Goal {
    /// The share of good events that is promised, for goals that promise one.
    #[must_use]
    pub const fn target(&self) -> Option<f64> {
        match self {
            Goal::Below { target, .. } | Goal::Errors { target, .. } => Some(*target),
            Goal::Mean(_) | Goal::Quantile { .. } => None,
        }
    }

    /// The duration that is promised, for goals about latency.
    #[must_use]
    pub const fn limit(&self) -> Option<Duration> {
        match self {
            Goal::Below { threshold: limit, .. }
            | Goal::Mean(limit)
            | Goal::Quantile { limit, .. } => Some(*limit),
            Goal::Errors { .. } => None,
        }
    }
}

/// What an exchange that was cut short counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAborts {
    /// Nothing, unless the client left after the threshold: then it was too slow.
    #[default]
    Exclude,
    /// A good event, unless it was too slow.
    Good,
    /// A bad event.
    Bad,
}

/// How well an objective is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Kept.
    Met,
    /// Not kept.
    Broken,
    /// Too few events to say.
    NoTraffic,
}

/// What one request means for an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it keeps the promise; always true for means and quantiles, which judge many.
    pub good: bool,
    /// Twice its share in the Apdex: 2 satisfied, 1 tolerating, 0 frustrated.
    pub apdex: u64,
    /// How long it took, where the objective is about that.
    pub duration: Duration,
}

impl Objective {
    /// What `record` from the log `source` means here; `None` when it is not about it.
    #[must_use]
    pub fn judge(&self, source: &str, record: &Record<'_>) -> Option<Event> {
        if !self.select.matches(source, record) || !self.proxy_answers && record.service.is_empty()
        {
            return None;
        }
        match &self.goal {
            Goal::Errors { codes, .. } => self.judge_code(codes, record),
            Goal::Below { threshold, .. } => self.judge_latency(record, Some(*threshold)),
            Goal::Mean(_) | Goal::Quantile { .. } => self.judge_latency(record, None),
        }
    }

    fn judge_code(&self, codes: &Codes, record: &Record<'_>) -> Option<Event> {
        let good = match (record.aborted, self.client_aborts) {
            (None, _) => !codes.contains(record.code),
            (Some(_), ClientAborts::Exclude) => return None,
            (Some(_), aborts) => aborts == ClientAborts::Good,
        };
        Some(Event { good, apdex: 0, duration: Duration::ZERO })
    }

    fn judge_latency(&self, record: &Record<'_>, threshold: Option<Duration>) -> Option<Event> {
        let duration = record.duration?;
        if record.code == 101 && !self.upgrade {
            return None;
        }
        let threshold = threshold.unwrap_or(Duration::MAX);
        let fast = duration <= threshold;
        let good = match (record.aborted, self.client_aborts) {
            (Some(_), ClientAborts::Exclude) if fast => return None,
            (Some(_), ClientAborts::Bad) => false,
            _ => fast,
        };
        let failed = !good && fast || record.code >= 500;
        let apdex = if failed { 0 } else { satisfaction(duration, threshold) };
        Some(Event { good, apdex, duration })
    }
}

/// Twice the Apdex of one answer: fast, up to four times the threshold, slower.
fn satisfaction(duration: Duration, threshold: Duration) -> u64 {
    if duration <= threshold { 2 } else { u64::from(duration <= threshold.saturating_mul(4)) }
}

/// Which requests an objective is about; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Conditions on `source`, `service`, `router`, `entrypoint`, `method` and `path`.
    pub matchers: Vec<Matcher>,
    /// The codes; `None` for any.
    pub codes: Option<Codes>,
}

impl Select {
    /// The names a condition may be about, besides `code`.
    pub const NAMES: [&'static str; 6] =
        ["source", "service", "router", "entrypoint", "method", "path"];

    /// Whether a request is meant.
    #[must_use]
    pub fn matches(&self, source: &str, record: &Record<'_>) -> bool {
        let codes = self.codes.as_ref().is_none_or(|codes| codes.contains(record.code));
        codes
            && self.matchers.iter().all(|matcher| {
                matcher.matches(match matcher.name() {
                    "source" => source,
                    "service" => &record.service,
                    "router" => &record.router,
                    "entrypoint" => &record.entrypoint,
                    "method" => &record.method,
                    "path" => &record.path,
                    _ => "",
                })
            })
    }

    /// The one service that is meant, for the label of its alerts.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        let equal = vigie_core::alert::MatchOp::Equal;
        let found = self.matchers.iter().find(|m| m.name() == "service" && m.op() == equal);
        found.map(Matcher::value)
    }
}

/// A set of status codes, written `5xx`, `404` or `500-504`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(Vec<(u16, u16)>);

impl Codes {
    /// Reads the parts; `None` for one that is no code.
    #[must_use]
    pub fn parse<'a>(parts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        parts.into_iter().map(range).collect::<Option<_>>().map(Codes)
    }

    /// Whether `code` is among them.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&code))
    }
}

fn range(part: &str) -> Option<(u16, u16)> {
    let part = part.trim();
    let code = |text: &str| {
        let good = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
        good.then(|| text.parse::<u16>().ok()).flatten()
    };
    if let Some(class) = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX")) {
        let class = code(class).filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (first, last) = match part.split_once('-') {
        Some((first, last)) => (code(first)?, code(last)?),
        None => (code(part)?, code(part)?),
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::Aborted;

    pub(crate) fn objective(goal: Goal) -> Objective {
        Objective {
            name: "test".into(),
            select: Select::default(),
            goal,
            window: Duration::from_secs(300),
            period: Duration::from_secs(30 * 86_400),
            min_events: 1,
            client_aborts: ClientAborts::Exclude,
            proxy_answers: true,
            upgrade: false,
            no_data: None,
            alerts: AlertKinds { burn: true, window: true, period: true },
            severity: "page".into(),
            labels: Vec::new(),
        }
    }

    fn below(millis: u64) -> Objective {
        objective(Goal::Below { threshold: Duration::from_millis(millis), target: 0.95 })
    }

    fn errors() -> Objective {
        objective(Goal::Errors { codes: Codes::parse(["5xx"]).unwrap(), target: 0.99 })
    }

    fn request(code: u16, millis: u64) -> Record<'static> {
        Record {
            code,
            duration: Some(Duration::from_millis(millis)),
            service: "a@b".into(),
            ..Record::default()
        }
    }

    fn left(code: u16, millis: u64) -> Record<'static> {
        Record { aborted: Some(Aborted::ClientBefore), ..request(code, millis) }
    }

    fn verdict(objective: &Objective, record: &Record<'_>) -> Option<bool> {
        objective.judge("log", record).map(|event| event.good)
    }

    #[test]
    fn the_threshold_itself_is_good_as_in_a_histogram() {
        assert_eq!(verdict(&below(200), &request(200, 200)), Some(true));
        assert_eq!(verdict(&below(200), &request(200, 201)), Some(false));
        let untimed = Record { duration: None, ..request(200, 0) };
        assert_eq!(verdict(&below(200), &untimed), None, "no duration, no evidence");
    }

    #[test]
    fn aborts_count_as_asked() {
        let mut objective = errors();
        for (aborts, expected) in [
            (ClientAborts::Exclude, None),
            (ClientAborts::Good, Some(true)),
            (ClientAborts::Bad, Some(false)),
        ] {
            objective.client_aborts = aborts;
            assert_eq!(verdict(&objective, &left(499, 1)), expected);
        }
        assert_eq!(verdict(&below(200), &left(499, 100)), None);
        assert_eq!(verdict(&below(200), &left(499, 300)), Some(false), "it had waited too long");
    }

    #[test]
    fn upgrades_and_proxy_answers_are_optional() {
        let mut objective = below(200);
        assert_eq!(verdict(&objective, &request(101, 60_000)), None);
        assert_eq!(verdict(&errors(), &request(101, 60_000)), Some(true));
        objective.upgrade = true;
        assert_eq!(verdict(&objective, &request(101, 60_000)), Some(false));
        objective.proxy_answers = false;
        let own = Record { service: "".into(), ..request(404, 1) };
        assert_eq!(verdict(&objective, &own), None);
    }

    #[test]
    fn apdex_counts_tolerable_answers_half() {
        let points = |code, millis| below(100).judge("", &request(code, millis)).unwrap().apdex;
        assert_eq!(
            [points(200, 100), points(200, 400), points(200, 401), points(500, 1)],
            [2, 1, 0, 0]
        );
    }

    #[test]
    fn selection_takes_every_condition() {
        let matcher = |text: &str| Matcher::parse(text).unwrap();
        let select = Select {
            matchers: vec![matcher(r#"service="a@b""#), matcher(r#"path=~"/api/.*""#)],
            codes: Codes::parse(["2xx", "404"]),
        };
        assert_eq!(select.service(), Some("a@b"));
        let api = |code| Record { path: "/api/x".into(), ..request(code, 1) };
        assert!(select.matches("", &api(200)) && select.matches("", &api(404)));
        assert!(!select.matches("", &api(500)) && !select.matches("", &request(200, 1)));
    }

    #[test]
    fn codes_are_classes_numbers_and_ranges() {
        let codes = Codes::parse(["5xx", "404", "420-422"]).unwrap();
        for (code, expected) in [(499, false), (500, true), (599, true), (404, true), (421, true)] {
            assert_eq!(codes.contains(code), expected, "{code}");
        }
        for bad in ["", "xx", "0xx", "5x", "abc", "600-500", "-1", "5000", "+12"] {
            assert_eq!(Codes::parse([bad]), None, "{bad}");
        }
    }
}
