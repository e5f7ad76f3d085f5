//! What a collector declares of itself, and how it is built.
//!
//! One static per collector feeds flags, `collect --list`, the generated documents and the golden
//! test. A definition must not know the registry that will hold it.

use std::sync::Arc;
use std::time::Duration;

use crate::collect::{Collector, Paths};
use crate::config::{FlagDef, Flags};
use crate::metric::FamilyDoc;

/// The plain data about a collector.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CollectorInfo {
    /// Name in `--collector.NAME`, `collect[]=NAME` and the label `collector`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// What it reads, for `collect --list`: kernel files, system calls, sockets.
    pub reads: &'static str,
    /// What a host must have for it to show something: a device, a kernel module, a right; empty
    /// where every Linux host does.
    pub needs: &'static str,
    /// On without being asked for.
    pub enabled: bool,
    /// Longest time one call may take; `None` for the lane's own limit.
    pub timeout: Option<Duration>,
    /// Flags of its own, besides `--collector.NAME`.
    pub flags: &'static [FlagDef],
    /// Families it may produce; those whose names depend on input are left out.
    pub families: &'static [FamilyDoc],
}

impl CollectorInfo {
    /// A collector that is on by default, without flags or families.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        CollectorInfo {
            name,
            help,
            reads: "",
            needs: "",
            enabled: true,
            timeout: None,
            flags: &[],
            families: &[],
        }
    }

    /// Says what is read.
    #[must_use]
    pub const fn reads(mut self, reads: &'static str) -> Self {
        self.reads = reads;
        self
    }

    /// Says what a host must have for it to show something.
    #[must_use]
    pub const fn needs(mut self, needs: &'static str) -> Self {
        self.needs = needs;
        self
    }

    /// Off unless asked for.
    #[must_use]
    pub const fn off_by_default(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Sets the longest time one call may take.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Declares flags.
    #[must_use]
    pub const fn flags(mut self, flags: &'static [FlagDef]) -> Self {
        self.flags = flags;
        self
    }

    /// Declares families.
    #[must_use]
    pub const fn families(mut self, families: &'static [FamilyDoc]) -> Self {
        self.families = families;
        self
    }
}

/// A collector's information and its factory. `C` is what the plugin hands to its collectors:
/// [`Setting`] where flags and paths are all they need, else the plugin's own shared state.
#[derive(Debug)]
pub struct CollectorDef<C: 'static = Setting> {
    /// The plain data.
    pub info: CollectorInfo,
    /// Makes one; called again, with backoff, after a panic.
    pub build: fn(&C) -> Result<Box<dyn Collector>, BuildError>,
}

impl<C: Send + Sync + 'static> CollectorDef<C> {
    /// Joins the definition with what its factory needs.
    #[must_use]
    pub fn bind(&'static self, context: Arc<C>) -> Bound {
        let build = self.build;
        Bound { info: self.info, build: Box::new(move || build(&context)) }
    }
}

/// What the collectors of a plain plugin are built from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Setting {
    /// Where the host's file systems are seen.
    pub paths: Paths,
    /// The values of all flags.
    pub flags: Arc<Flags>,
    /// The plugin's section of the configuration as JSON text; `null` when there is none.
    pub config: String,
}

impl Setting {
    /// A setting.
    #[must_use]
    pub fn new(paths: Paths, flags: Arc<Flags>, config: String) -> Self {
        Setting { paths, flags, config }
    }

    /// Reads the plugin's section into `T`; without a section `T` comes from `null`, so take an
    /// `Option` or a type with `#[serde(default)]`.
    ///
    /// # Errors
    /// When the section does not fit `T`.
    pub fn config<T: serde::de::DeserializeOwned>(&self) -> Result<T, BuildError> {
        let text = if self.config.is_empty() { "null" } else { &self.config };
        serde_json::from_str(text).map_err(|error| BuildError::new(error.to_string()))
    }
}

/// A collector ready to be put into a [`Registry`](crate::collect::Registry).
pub struct Bound {
    /// The plain data.
    pub info: CollectorInfo,
    /// Makes one.
    pub build: Box<dyn Fn() -> Result<Box<dyn Collector>, BuildError> + Send + Sync>,
}

impl Bound {
    /// For collectors without a static definition, such as an embedding program's own.
    pub fn new(
        info: CollectorInfo,
        build: impl Fn() -> Result<Box<dyn Collector>, BuildError> + Send + Sync + 'static,
    ) -> Self {
        Bound { info, build: Box::new(build) }
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Why a collector could not be built: the text names the flag or key and what is wrong with it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    /// An error that says what was attempted.
    pub fn new(what: impl Into<String>) -> Self {
        BuildError(what.into())
    }
}

impl From<crate::config::FlagError> for BuildError {
    fn from(error: crate::config::FlagError) -> Self {
        BuildError(error.to_string())
    }
}
