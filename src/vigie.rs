//! One running vigie: scrapes, routes, services, the router.
//!
//! It holds what the builder made and exchanges all of it at a reload, or nothing. It must not
//! know listeners, signals or the command line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as TurnMutex, Semaphore, watch};
use tokio::task::JoinSet;
use vigie_core::alert::AlertSink;
use vigie_core::clock::SharedClock;
use vigie_core::collect::{Scraper, SelfMetrics, Wish};
use vigie_core::encode::Format;
use vigie_core::http::{Found, Listener, Method, Request, Response, Route, Routes, StatusCode};
use vigie_core::plugin::ServiceContext;
use vigie_core::route::RouterHandle;

use crate::builder::{Assembly, Builder, Outlets};
use crate::settings::Settings;
use crate::{Error, pages, routing};

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
    outlets: Outlets,
    clock: SharedClock,
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

    pub(crate) async fn start(
        builder: Builder,
        settings: Settings,
        outlets: Outlets,
        clock: SharedClock,
        assembly: Assembly,
    ) -> Self {
        let scraper = assembly.scraper.clone();
        let vigie = Vigie(Arc::new(Inner {
            telemetry: Routes::default(),
            alerting: Routes::default(),
            current: Mutex::new(Current { scraper, settings, notes: Vec::new() }),
            running: TurnMutex::new(None),
            builder,
            outlets,
            clock,
        }));
        let running = vigie.run(assembly).await;
        *vigie.0.running.lock().await = Some(running);
        vigie
    }

    /// Scrapes all collectors.
    pub async fn scrape(&self, format: Format) -> vigie_core::http::Bytes {
        let wish = Wish { format, ..Wish::default() };
        self.scraper().scrape(wish, None).await.unwrap_or_default()
    }

    /// vigie's own metrics; what a program adds is shown beside them.
    #[must_use]
    pub fn metrics(&self) -> Arc<SelfMetrics> {
        self.0.outlets.metrics.clone()
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
        self.0.outlets.alerts.clone()
    }

    /// The router, when alerting is on.
    #[must_use]
    pub fn router(&self) -> Option<RouterHandle> {
        self.0.outlets.router.clone()
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
        let outcome = self.exchange().await;
        self.0.outlets.metrics.reloaded(outcome.is_ok());
        if let (Err(_), Some(router)) = (&outcome, self.router()) {
            router.reload_failed();
        }
        outcome
    }

    async fn exchange(&self) -> Result<(), Error> {
        let inner = &self.0;
        let mut running = inner.running.lock().await;
        let settings = inner.builder.settings()?;
        let routing = inner.builder.routing(&settings)?;
        let assembly = inner.builder.assemble(&settings, &inner.outlets)?;
        // Nothing can be refused from here on. The old services store their state before the new
        // ones read it.
        if let Some(old) = running.take() {
            old.stop().await;
        }
        if let Some(router) = &inner.outlets.router {
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
        if let Some(router) = &self.0.outlets.router {
            router.stop().await;
        }
    }

    /// For routes, which are held by what they would hold.
    fn weak(&self) -> impl Fn() -> Option<Vigie> + Send + Sync + use<> {
        let weak = Arc::downgrade(&self.0);
        move || weak.upgrade().map(Vigie)
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
        if self.0.builder.is_single_scrape() {
            // Late or not, the scrape goes on with what is there.
            drop(tokio::time::timeout(READY_LIMIT, ready.acquire_many(count)).await);
        }
        let metrics = pages::Metrics::new(assembly.scraper.clone(), assembly.max_requests);
        let path = &assembly.telemetry_path;
        self.install_routes(assembly.routes, path, metrics, &assembly.scraper);
        self.set_current(|current| {
            current.scraper = assembly.scraper;
            current.notes = assembly.notes;
        });
        Running { stop, tasks }
    }

    fn install_routes(
        &self,
        plugin_routes: Vec<Route>,
        path: &str,
        metrics: pages::Metrics,
        scraper: &Arc<Scraper>,
    ) {
        let router = self.0.outlets.router.as_ref();
        let alerting = router.map(|_| routing::alerting_port(&self.settings()));
        let mut telemetry = vec![
            Route::new(Listener::Telemetry, Method::GET, path, metrics),
            pages::status(scraper.clone()),
        ];
        if path != "/" {
            telemetry.push(pages::landing(path, alerting.flatten()));
        }
        telemetry.extend(pages::health(Listener::Telemetry));
        telemetry.push(pages::reload(Listener::Telemetry, self.weak()));
        let mut alerts = vec![pages::reload(Listener::Alerting, self.weak())];
        alerts.extend(self.router().map(pages::router_metrics));
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
