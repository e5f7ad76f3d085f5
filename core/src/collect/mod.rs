//! Collectors and the lane that runs them.
//!
//! What every source of metrics shares stands here: the trait, the definition, file reading, and
//! the scheduler that isolates one collector from another. It must not know any collector's name.

mod collector;
mod def;
#[cfg(feature = "runtime")]
mod lane;
mod paths;
#[cfg(feature = "runtime")]
mod process;
mod read;
#[cfg(feature = "runtime")]
mod registry;
#[cfg(feature = "runtime")]
mod scrape;
#[cfg(feature = "runtime")]
mod selfmetrics;

pub use collector::{CollectError, Collector, Scrape};
pub use def::{Bound, BuildError, CollectorDef, CollectorInfo, Setting};
pub use paths::{PATH_FLAGS, Paths};
pub use read::FileReader;
#[cfg(feature = "runtime")]
pub use registry::{Filter, FilterError, Registry, SlotReport, SlotState};
#[cfg(feature = "runtime")]
pub use scrape::{Scraper, Wish};
#[cfg(feature = "runtime")]
pub use selfmetrics::{InFlight, SelfMetrics};
