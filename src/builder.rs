//! Builds a vigie from plugins, settings and what an embedding program adds.
//!
//! The binary's `serve` and a service that links the library go through the same builder, so both
//! are the same program. It must not know listeners, signals or the command line.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::clock::{SharedClock, SystemClock};
use vigie_core::collect::{Bound, CollectorInfo, Registry, Scraper, SelfMetrics};
use vigie_core::config::{ConfigError, Node, parse_yaml};
use vigie_core::http::{Listener, Route, WebConfigFile};
use vigie_core::notify::NotifierDef;
use vigie_core::plugin::{Parts, Plugin, Service, Setup};
use vigie_core::route::{RouteConfig, Router, RouterHandle};
use vigie_core::storage::Storage;

use crate::catalogue::{Catalogue, is_on};
use crate::settings::{self, Given, Settings};
use crate::vigie::Vigie;
use crate::{BUNDLED, Error, routing};

/// Builds a [`Vigie`].
#[derive(Default)]
pub struct Builder {
    catalogue: Catalogue,
    given: Given,
    config: Source,
    collectors: Vec<Arc<Bound>>,
    notifiers: Vec<&'static NotifierDef>,
    storage: Storage,
    alerting: bool,
    single: bool,
}

/// Where `vigie.yml` comes from; a file is read again at a reload.
#[derive(Clone, Debug)]
enum Source {
    Text(String),
    File(PathBuf),
}

impl Default for Source {
    fn default() -> Self {
        Source::Text(String::new())
    }
}

impl Source {
    fn read(&self) -> Result<Node, ConfigError> {
        match self {
            Source::Text(text) => parse_yaml("<inline>", text),
            Source::File(path) => settings::load(path),
        }
    }
}

impl Builder {
    /// Adds every plugin of this build.
    #[must_use]
    pub fn bundled(self) -> Self {
        BUNDLED.iter().fold(self, |builder, plugin| builder.plugin(plugin))
    }

    /// Adds a linked plugin.
    #[must_use]
    pub fn plugin(mut self, plugin: &'static Plugin) -> Self {
        self.catalogue.add(plugin);
        self
    }

    /// Loads a plugin from a `.so` file.
    ///
    /// # Errors
    /// As [`Catalogue::load`].
    pub fn load_plugin(mut self, path: &Path) -> Result<Self, Error> {
        self.catalogue.load(path)?;
        Ok(self)
    }

    /// Adds plugins found elsewhere, such as those the command line has loaded already.
    #[must_use]
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Adds a collector of the embedding program.
    #[must_use]
    pub fn collector(mut self, collector: Bound) -> Self {
        self.collectors.push(Arc::new(collector));
        self
    }

    /// Adds a kind of notifier of the embedding program.
    #[must_use]
    pub fn notifier(mut self, notifier: &'static NotifierDef) -> Self {
        self.notifiers.push(notifier);
        self
    }

    /// Sets a flag, named without dashes, as on the command line.
    #[must_use]
    pub fn flag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.entry(name.into()).or_default().push(value.into());
        self
    }

    /// Sets many flags.
    #[must_use]
    pub fn flags(mut self, given: Given) -> Self {
        self.given.extend(given);
        self
    }

    /// The text of a `vigie.yml`.
    #[must_use]
    pub fn config_text(mut self, text: impl Into<String>) -> Self {
        self.config = Source::Text(text.into());
        self
    }

    /// The path of a `vigie.yml`, read again by [`Vigie::reload`].
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config = Source::File(path.into());
        self
    }

    /// Keeps state; without this, in memory only.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// Runs the alert router; without this, posted alerts are refused.
    #[must_use]
    pub fn alerting(mut self) -> Self {
        self.alerting = true;
        self
    }

    /// For one scrape only: the start waits a moment for the first snapshots of all services.
    #[must_use]
    pub fn single_scrape(mut self) -> Self {
        self.single = true;
        self
    }

    /// What is set, without starting anything.
    ///
    /// # Errors
    /// For unknown keys and values of the wrong kind, with their place.
    pub fn settings(&self) -> Result<Settings, Error> {
        Ok(Settings::new(&self.catalogue, &self.config.read()?, &self.given)?)
    }

    /// Builds every part once and drops it: all that [`start`](Self::start) could refuse.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn check(&self) -> Result<(), Error> {
        let settings = self.settings()?;
        self.routing(&settings)?;
        for listener in [Listener::Telemetry, Listener::Alerting] {
            let path = settings.web_config_path(listener);
            path.map(|path| WebConfigFile::open(&path)).transpose()?;
        }
        self.assemble(&settings, &Outlets::closed()).map(drop)
    }

    /// Starts the services and, with [`alerting`](Self::alerting), the router.
    ///
    /// # Errors
    /// For anything wrong in the settings, and state that cannot be kept.
    pub async fn start(self) -> Result<Vigie, Error> {
        let settings = self.settings()?;
        let clock: SharedClock = Arc::new(SystemClock);
        let mut outlets = Outlets { storage: self.storage.clone(), ..Outlets::closed() };
        if self.alerting {
            let config = self.routing(&settings)?;
            let url = routing::external_url(&settings);
            let router = Router::start(config, self.storage.clone(), clock.clone(), url)?;
            outlets.metrics.add(router.metrics());
            outlets.alerts = Arc::new(router.clone());
            outlets.router = Some(router);
        }
        let assembly = self.assemble(&settings, &outlets)?;
        Ok(Vigie::start(self, settings, outlets, clock, assembly).await)
    }

    /// Whether a start waits for first snapshots.
    pub(crate) const fn is_single_scrape(&self) -> bool {
        self.single
    }

    pub(crate) fn routing(&self, settings: &Settings) -> Result<RouteConfig, Error> {
        let own = self.notifiers.iter().copied();
        let notifiers: Vec<_> = self.catalogue.notifiers().chain(own).collect();
        routing::read(settings, &notifiers)
    }

    /// Collectors that the settings leave off.
    ///
    /// # Errors
    /// As [`settings`](Self::settings).
    pub fn collectors_off(&self) -> Result<Vec<CollectorInfo>, Error> {
        let flags = self.settings()?.flags;
        let all = self.catalogue.collectors().into_iter().map(|(_, info)| info);
        Ok(all.filter(|info| !is_on(&flags, info)).collect())
    }

    /// Builds every part; nothing runs yet.
    pub(crate) fn assemble(
        &self,
        settings: &Settings,
        outlets: &Outlets,
    ) -> Result<Assembly, Error> {
        let mut all = Parts::default();
        for member in self.catalogue.members() {
            let flags = settings.flags.clone();
            let mut setup = Setup::new(&settings.config, flags, outlets.alerts.clone());
            setup.storage = outlets.storage.sub(member.name());
            setup.router = outlets.router.clone();
            let mut parts = member.build(&setup)?;
            all.collectors.append(&mut parts.collectors);
            all.services.append(&mut parts.services);
            all.routes.append(&mut parts.routes);
            all.notes.append(&mut parts.notes);
        }
        all.collectors.retain(|bound| is_on(&settings.flags, &bound.info));
        all.collectors.extend(self.collectors.iter().map(|shared| rebind(shared.clone())));
        let registry = Registry::new(all.collectors).map_err(Error::Collectors)?;
        Ok(Assembly {
            scraper: Arc::new(
                Scraper::counting_in(registry, outlets.metrics.clone())
                    .shows_itself(!settings.flags.switch("web.disable-exporter-metrics")),
            ),
            telemetry_path: settings.telemetry_path()?,
            max_requests: settings.max_requests()?,
            services: all.services,
            routes: all.routes,
            notes: all.notes,
        })
    }
}

/// A collector that the embedding program gave once and a reload builds again.
fn rebind(shared: Arc<Bound>) -> Bound {
    let info = shared.info;
    Bound::new(info, move || (shared.build)())
}

/// What the parts are connected to; stays the same across reloads.
pub(crate) struct Outlets {
    pub(crate) storage: Storage,
    pub(crate) alerts: Arc<dyn AlertSink>,
    pub(crate) router: Option<RouterHandle>,
    pub(crate) metrics: Arc<SelfMetrics>,
}

impl Outlets {
    /// No state, and nobody takes alerts.
    fn closed() -> Self {
        Outlets {
            storage: Storage::memory(),
            alerts: Arc::new(Closed),
            router: None,
            metrics: Arc::default(),
        }
    }
}

/// Everything built from one state of the settings, not yet running.
pub(crate) struct Assembly {
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) telemetry_path: String,
    pub(crate) max_requests: Option<NonZeroU64>,
    pub(crate) services: Vec<Box<dyn Service>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) notes: Vec<String>,
}

/// Takes no alerts: alerting is off.
struct Closed;

impl AlertSink for Closed {
    fn post<'a>(&'a self, _alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { Err(PostError::Closed) })
    }
}
