//! Samples to the wire: text 0.0.4 and OpenMetrics 1.0.
//!
//! Collectors push into a [`TextSink`] each, [`assemble`] merges their spans by family. It must not
//! know collectors, sockets or clocks.

mod assemble;
mod exposition;
mod gzip;
mod known;
mod negotiate;
mod number;
mod parse;
mod text;

pub use assemble::{Conflict, assemble};
pub use exposition::{ExposedFamily, Exposition};
pub use gzip::{Gzip, gzip};
pub use negotiate::{Format, accepts_gzip};
pub use number::write_f64;
pub use parse::ParseError;
pub use text::TextSink;
