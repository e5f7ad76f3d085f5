//! What people write: flags, files, durations, secrets.
//!
//! One tree of nodes with places carries every file a user wrote to the code it configures, so
//! that each error can name file, line, column and the nearest known key. It must not know the
//! meaning of any section.

mod de;
mod duration;
mod error;
mod flags;
mod nearest;
mod node;
mod read;
mod secret;
mod tls;
mod yaml;

pub use duration::{DurationError, PromDuration, format_duration, parse_duration};
pub use error::{ConfigError, Place};
pub use flags::{FlagDef, FlagError, FlagKind, Flags};
pub use nearest::nearest;
pub use node::{Entry, Node, Value};
pub(crate) use read::read_bounded;
pub use secret::{Secret, SecretSource};
pub use tls::{TlsConfig, TlsVersion};
pub use yaml::{parse as parse_yaml, write as write_yaml};
