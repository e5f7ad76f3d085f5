//! The metric model: families, samples and the sink that takes them.
//!
//! It stands at the bottom of the house, so that collectors, encoders, the rule window and the
//! plugin ABI speak of the same thing. It must not know formats, threads, files or clocks.

mod family;
mod kind;
mod label;
mod sample;
mod sink;

pub use family::{Desc, Family, FamilyDoc};
pub use kind::Kind;
pub use label::{is_label_name, is_metric_name};
pub use sample::{HistogramView, Sample, SummaryView, Value};
pub use sink::{MetricSink, Opened};
