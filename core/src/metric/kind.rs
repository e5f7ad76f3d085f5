//! The kinds a family can have.
//!
//! They are those of the Prometheus text format 0.0.4, which every consumer knows. How a kind is
//! written on the wire is the encoders' business, not known here.

/// The type of a metric family (Prometheus exposition format 0.0.4, `# TYPE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only ever grows, or restarts from zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets with sum and count.
    Histogram,
    /// Quantiles with sum and count.
    Summary,
    /// Nothing is promised (`untyped`; `unknown` in OpenMetrics).
    Untyped,
}

impl Kind {
    /// The word after `# TYPE name` in the text format 0.0.4.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Untyped => "untyped",
        }
    }

    /// Reads the word of a `# TYPE` line; `unknown` is accepted for `untyped`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Kind> {
        Some(match word {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "summary" => Kind::Summary,
            "untyped" | "unknown" => Kind::Untyped,
            _ => return None,
        })
    }
}
