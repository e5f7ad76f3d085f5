//! One running vigie: built from plugins, settings and what an embedding program adds.
//!
//! The binary's `serve` and a service that links the library go through the same builder, so both
//! are the same program. It must not know listeners, signals or the command line.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as TurnMutex, Semaphore, watch};
use tokio::task::JoinSet;
use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::clock::{SharedClock, SystemClock};
use vigie_core::collect::{Bound, CollectorInfo, Filter, Registry, Scraper};
use vigie_core::config::{ConfigError, Node, parse_yaml};
use vigie_core::encode::Format;
use vigie_core::http::{Found, Listener, Request, Response, Route, Routes, StatusCode};
use vigie_core::notify::NotifierDef;
use vigie_core::plugin::{Parts, Plugin, Service, ServiceContext, Setup};
use vigie_core::route::{Router, RouterHandle};
use vigie_core::storage::Storage;

use crate::catalogue::{Catalogue, is_on};
use crate::settings::{self, Given, Settings};
use crate::{BUNDLED, Error, pages, routing};

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
        routing::read(&settings, &self.notifier_defs())?;
        let closed: Arc<dyn AlertSink> = Arc::new(Closed);
        self.assemble(&settings, &Storage::memory(), &closed, None).map(drop)
    }

    /// Starts the services and, with [`alerting`](Self::alerting), the router.
    ///
    /// # Errors
    /// For anything wrong in the settings, and state that cannot be kept.
    pub async fn start(self) -> Result<Vigie, Error> {
        let settings = self.settings()?;
        let clock: SharedClock = Arc::new(SystemClock);
        let router = if self.alerting {
            let config = routing::read(&settings, &self.notifier_defs())?;
            let url = routing::external_url(&settings);
            Some(Router::start(config, self.storage.clone(), clock.clone(), url)?)
        } else {
            None
        };
        let alerts: Arc<dyn AlertSink> = match &router {
            Some(router) => Arc::new(router.clone()),
            None => Arc::new(Closed),
        };
        let assembly = self.assemble(&settings, &self.storage, &alerts, router.as_ref())?;
        let vigie = Vigie(Arc::new(Inner {
            telemetry: Routes::default(),
            alerting: Routes::default(),
            current: Mutex::new(Current {
                scraper: assembly.scraper.clone(),
                settings,
                notes: Vec::new(),
            }),
            running: TurnMutex::new(None),
            builder: self,
            clock,
            router,
            alerts,
        }));
        let mut running = vigie.0.running.lock().await;
        *running = Some(vigie.run(assembly).await);
        drop(running);
        Ok(vigie)
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

    fn notifier_defs(&self) -> Vec<&'static NotifierDef> {
        self.catalogue.notifiers().chain(self.notifiers.iter().copied()).collect()
    }

    fn assemble(
        &self,
        settings: &Settings,
        storage: &Storage,
        alerts: &Arc<dyn AlertSink>,
        router: Option<&RouterHandle>,
    ) -> Result<Assembly, Error> {
        let mut assembly = Assembly::default();
        let mut collectors = Vec::new();
        for plugin in self.catalogue.plugins() {
            let mut setup = Setup::new(&settings.config, settings.flags.clone(), alerts.clone());
            setup.storage = storage.sub(plugin.name)?;
            setup.router = router.cloned();
            let mut parts: Parts = (plugin.build)(&setup)?;
            collectors.append(&mut parts.collectors);
            assembly.services.append(&mut parts.services);
            assembly.routes.append(&mut parts.routes);
            assembly.notes.append(&mut parts.notes);
        }
        collectors.retain(|bound| is_on(&settings.flags, &bound.info));
        collectors.extend(self.collectors.iter().map(|shared| rebind(shared.clone())));
        if let Some(router) = router {
            let info = CollectorInfo::new("alertmanager", "The alert router's own metrics.");
            collectors.push(vigie_core::bridge::collector(info, router.metrics()));
        }
        let registry = Registry::new(collectors).map_err(Error::Collectors)?;
        assembly.scraper = Arc::new(Scraper::new(registry));
        Ok(assembly)
    }
}

/// A collector that the embedding program gave once and a reload builds again.
fn rebind(shared: Arc<Bound>) -> Bound {
    let info = shared.info;
    Bound::new(info, move || (shared.build)())
}

/// Everything built from one state of the settings, not yet running.
struct Assembly {
    scraper: Arc<Scraper>,
    services: Vec<Box<dyn Service>>,
    routes: Vec<Route>,
    notes: Vec<String>,
}

impl Default for Assembly {
    fn default() -> Self {
        let empty = Registry::new(Vec::new()).unwrap_or_else(|_| unreachable!("nothing to refuse"));
        Assembly {
            scraper: Arc::new(Scraper::new(empty)),
            services: Vec::new(),
            routes: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// A running vigie. Clones are the same one.
#[derive(Clone)]
pub struct Vigie(Arc<Inner>);

struct Inner {
    telemetry: Routes,
    alerting: Routes,
    current: Mutex<Current>,
    /// Held while services are exchanged, so that reloads take turns.
    running: TurnMutex<Option<Running>>,
    builder: Builder,
    clock: SharedClock,
    router: Option<RouterHandle>,
    alerts: Arc<dyn AlertSink>,
}

struct Current {
    scraper: Arc<Scraper>,
    settings: Settings,
    notes: Vec<String>,
}

/// Services under way.
struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// How long a service may take to store its state when it is told to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long one scrape waits for first snapshots.
const READY_LIMIT: Duration = Duration::from_secs(1);

impl Vigie {
    /// Begins to build one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Scrapes all collectors.
    pub async fn scrape(&self, format: Format) -> vigie_core::http::Bytes {
        let scraper = self.scraper();
        let scrape = move || scraper.scrape(format, Filter::default(), None).body.clone();
        tokio::task::spawn_blocking(scrape).await.unwrap_or_default()
    }

    /// The collectors and their last outcomes.
    #[must_use]
    pub fn scraper(&self) -> Arc<Scraper> {
        self.current(|current| current.scraper.clone())
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.current(|current| current.settings.clone())
    }

    /// What the parts have to say at the start, one line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.current(|current| current.notes.clone())
    }

    /// Where alerts are posted.
    #[must_use]
    pub fn alerts(&self) -> Arc<dyn AlertSink> {
        self.0.alerts.clone()
    }

    /// The router, when alerting is on.
    #[must_use]
    pub fn router(&self) -> Option<RouterHandle> {
        self.0.router.clone()
    }

    /// The routes of one port, for a [`Server`](vigie_core::http::Server); a reload replaces them.
    #[must_use]
    pub fn routes(&self, listener: Listener) -> Routes {
        match listener {
            Listener::Telemetry => self.0.telemetry.clone(),
            Listener::Alerting => self.0.alerting.clone(),
        }
    }

    /// Answers one request as a port would: for programs with a server of their own.
    pub async fn answer(&self, listener: Listener, mut request: Request) -> Response {
        let router = self.routes(listener).current();
        match router.find(&request.method, &request.path) {
            Found::Route(route, captures) => {
                request.captures = captures;
                route.handler.handle(request).await
            }
            Found::OtherMethods(_) => Response::new(StatusCode::METHOD_NOT_ALLOWED),
            Found::Nothing => Response::new(StatusCode::NOT_FOUND),
        }
    }

    /// Reads the settings again and replaces all that they made. Addresses and the state
    /// directory stay as they are.
    ///
    /// # Errors
    /// For anything wrong in the settings; everything then stays as it was.
    pub async fn reload(&self) -> Result<(), Error> {
        let inner = &self.0;
        let mut running = inner.running.lock().await;
        let settings = inner.builder.settings()?;
        let routing = routing::read(&settings, &inner.builder.notifier_defs())?;
        let assembly = inner.builder.assemble(
            &settings,
            &inner.builder.storage,
            &inner.alerts,
            inner.router.as_ref(),
        )?;
        // Nothing can be refused from here on. The old services store their state before the new
        // ones read it.
        if let Some(old) = running.take() {
            old.stop().await;
        }
        if let Some(router) = &inner.router {
            router.reload(routing).await;
        }
        self.set_current(|current| current.settings = settings);
        *running = Some(self.run(assembly).await);
        Ok(())
    }

    /// Ends all services and the router; their state is stored.
    pub async fn stop(&self) {
        if let Some(running) = self.0.running.lock().await.take() {
            running.stop().await;
        }
        if let Some(router) = &self.0.router {
            router.stop().await;
        }
    }

    async fn run(&self, assembly: Assembly) -> Running {
        let (stop, stopped) = watch::channel(false);
        let ready = Arc::new(Semaphore::new(0));
        let context = ServiceContext::new(self.0.clock.clone(), stopped, ready.clone());
        let mut tasks = JoinSet::new();
        let count = u32::try_from(assembly.services.len()).unwrap_or(u32::MAX);
        for service in assembly.services {
            let name = service.name();
            let running = service.run(context.clone());
            tasks.spawn(async move {
                if let Err(error) = running.await {
                    tracing::error!(service = name, %error, "service ended");
                }
            });
        }
        if self.0.builder.single {
            // Late or not, the scrape goes on with what is there.
            drop(tokio::time::timeout(READY_LIMIT, ready.acquire_many(count)).await);
        }
        self.install_routes(assembly.routes, &assembly.scraper);
        self.set_current(|current| {
            current.scraper = assembly.scraper;
            current.notes = assembly.notes;
        });
        Running { stop, tasks }
    }

    fn install_routes(&self, plugin_routes: Vec<Route>, scraper: &Arc<Scraper>) {
        let settings = self.settings();
        let path = settings.flags.text("web.telemetry-path");
        let alerting = self.0.router.as_ref().map(|_| routing::alerting_port(&settings));
        let metrics = pages::Metrics::new(scraper.clone());
        let mut telemetry = vec![
            Route::new(Listener::Telemetry, vigie_core::http::Method::GET, path, metrics),
            pages::status(scraper.clone()),
        ];
        if path != "/" {
            telemetry.push(pages::landing(path, alerting.flatten()));
        }
        telemetry.extend(pages::health(Listener::Telemetry));
        let mut alerts: Vec<Route> = Vec::new();
        if let Some(router) = &self.0.router {
            alerts.push(pages::router_metrics(router.clone()));
        }
        for listener in [Listener::Telemetry, Listener::Alerting] {
            let reload = pages::reload(listener, self.clone());
            match listener {
                Listener::Telemetry => telemetry.push(reload),
                Listener::Alerting => alerts.push(reload),
            }
        }
        for route in plugin_routes {
            match route.listener {
                Listener::Telemetry => telemetry.push(route),
                Listener::Alerting => alerts.push(route),
            }
        }
        self.0.telemetry.replace(telemetry);
        self.0.alerting.replace(alerts);
    }

    fn current<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        read(&self.0.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_current(&self, change: impl FnOnce(&mut Current)) {
        change(&mut self.0.current.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Running {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("a service did not end in time");
            self.tasks.abort_all();
        }
    }
}

/// Takes no alerts: alerting is off.
struct Closed;

impl AlertSink for Closed {
    fn post<'a>(&'a self, _alerts: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { Err(PostError::Closed) })
    }
}
