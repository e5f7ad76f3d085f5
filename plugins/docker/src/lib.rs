//! Container and Docker daemon metrics under cAdvisor's names.
//!
//! Names and states come from the daemon's socket and are kept fresh by its events; figures come
//! from cgroup files at the scrape, so that they go on when the daemon does not. It must not know
//! the other plugins nor who scrapes.

mod api;
mod cgroup;
mod config;
mod container;
mod daemon;
mod family;
mod label;
mod latest;
mod machine;
mod names;
mod netdev;
mod page;
mod snapshot;
mod state;
#[cfg(test)]
mod testing;

use std::path::Path;
use std::sync::Arc;

use vigie_core::collect::{CollectorDef, Paths};
use vigie_core::config::ConfigError;
use vigie_core::plugin::{Parts, Plugin, Setup};

use config::{DockerConfig, Host};
use latest::Latest;
use names::Names;
use page::{PageLink, PageService};
use snapshot::Snapshot;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "docker",
    env!("CARGO_PKG_VERSION"),
    "Container and Docker daemon metrics under cAdvisor's names",
)
.flags(config::FLAGS)
.collectors(|| COLLECTORS.iter().map(|def| def.info).collect())
.build(build);

static COLLECTORS: [&CollectorDef<Context>; 2] = [&container::DEF, &daemon::DEF];

/// What the collectors of this plugin are built from.
pub(crate) struct Context {
    pub(crate) paths: Paths,
    pub(crate) snapshot: Arc<Latest<Snapshot>>,
    /// Whether a service keeps the snapshot fresh.
    pub(crate) follows: bool,
    pub(crate) page: Option<Arc<PageLink>>,
    pub(crate) node_meta: bool,
}

fn build(setup: &Setup<'_>) -> Result<Parts, ConfigError> {
    let environment = std::env::var("DOCKER_HOST").ok();
    let config =
        DockerConfig::read(&setup.section("docker"), &setup.flags, environment.as_deref())?;
    let mut parts = Parts::default();
    parts.notes.push(note(&config));
    let context = Arc::new(Context {
        paths: setup.paths.clone(),
        snapshot: Arc::default(),
        follows: config.host.is_some(),
        page: config.metrics_address.is_some().then(Arc::default),
        node_meta: config.node_meta,
    });
    parts.collectors = COLLECTORS.iter().map(|def| def.bind(Arc::clone(&context))).collect();
    if let Some(host) = config.host {
        let snapshot = Arc::clone(&context.snapshot);
        parts.services.push(Box::new(Names { host, labels: config.labels, snapshot }));
    }
    if let (Some(address), Some(link)) = (config.metrics_address, context.page.clone()) {
        parts.services.push(Box::new(PageService { address, link }));
    }
    Ok(parts)
}

/// The one line at the start.
fn note(config: &DockerConfig) -> String {
    match (&config.host, &config.refused) {
        (None, Some(refused)) => format!("docker: {refused}; containers go by their ids"),
        (None, None) => "docker: no daemon wanted; containers go by their ids".to_owned(),
        (Some(Host::Unix(path)), _) if !Path::new(path).exists() => {
            format!("docker: no socket at {path}; containers, if there are any, go by their ids")
        }
        (Some(host), _) => format!("docker: names of containers from {host}"),
    }
}
