//! What the tests of several modules need.
//!
//! It must not be part of the program.

use vigie_core::encode::{Format, TextSink};
use vigie_core::metric::MetricSink;

/// What `push` pushes, in the text format.
pub(crate) fn exposition(push: impl FnOnce(&mut dyn MetricSink)) -> String {
    let mut sink = TextSink::new(Format::default());
    push(&mut sink);
    String::from_utf8(sink.to_exposition()).unwrap()
}
