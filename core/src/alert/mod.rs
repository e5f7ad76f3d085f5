//! The alert model: what an alert is, how it is named and matched, and where it is posted.
//!
//! Rules, the access log, the API and the router share it. It must not know routes, notifications
//! or sockets.

#[allow(clippy::module_inception, reason = "the thing is called an alert")]
mod alert;
mod fingerprint;
mod label_set;
mod matcher;
mod sink;

pub use alert::{Alert, AlertError, PostedAlert};
pub use fingerprint::Fingerprint;
pub use label_set::LabelSet;
pub(crate) use matcher::translate_re2;
pub use matcher::{MatchOp, Matcher, MatcherError, Matchers};
pub use sink::{AlertSink, BoxFuture, PostError};
