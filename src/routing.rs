//! Where the router's configuration comes from.
//!
//! An `alertmanager.yml`, the same inline in `vigie.yml`, or nothing: then every alert is shown
//! and nobody is notified. It must not know what the configuration says.

use std::path::Path;

use vigie_core::config::{Node, Value};
use vigie_core::http::{Listener, WebConfigFile};
use vigie_core::notify::NotifierDef;
use vigie_core::route::RouteConfig;

use crate::Error;
use crate::settings::{Settings, load};

/// Reads the router's configuration.
pub(crate) fn read(
    settings: &Settings,
    notifiers: &[&'static NotifierDef],
) -> Result<RouteConfig, Error> {
    let flag = settings.flags.text("alerting.config.file");
    if !flag.is_empty() {
        return read_file(Path::new(flag), notifiers);
    }
    match settings.section("alerting", "config") {
        None => Ok(RouteConfig::none()),
        Some(Node { value: Value::Scalar { text, .. }, place }) => {
            let beside = Path::new(&*place.file).parent().unwrap_or(Path::new(""));
            read_file(&beside.join(text), notifiers)
        }
        Some(node) => Ok(RouteConfig::read(node, notifiers)?),
    }
}

/// Checks an `alertmanager.yml` against the notifiers of this build.
///
/// # Errors
/// With the place of the first mistake.
pub fn check_alertmanager_file(path: &Path) -> Result<(), Error> {
    let notifiers: Vec<_> = crate::BUNDLED.iter().flat_map(|plugin| plugin.notifiers).collect();
    read_file(path, &notifiers).map(drop)
}

/// Checks a web configuration file and the certificates it names.
///
/// # Errors
/// With the place of the first mistake.
pub fn check_web_config_file(path: &Path) -> Result<(), Error> {
    Ok(WebConfigFile::open(path).map(drop)?)
}

fn read_file(path: &Path, notifiers: &[&NotifierDef]) -> Result<RouteConfig, Error> {
    Ok(RouteConfig::read(&load(path)?, notifiers)?)
}

/// Where people reach the view: as told, else this host's name and the first alerting port.
pub(crate) fn external_url(settings: &Settings) -> String {
    let told = settings.flags.text("alerting.external-url").trim_end_matches('/');
    if !told.is_empty() {
        return told.to_owned();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if name.trim().is_empty() { "localhost" } else { name.trim() };
    let file = settings.web_config_path(Listener::Alerting);
    let tls = file.is_some_and(|file| WebConfigFile::open(&file).is_ok_and(|file| file.has_tls()));
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{host}:{}", alerting_port(settings).unwrap_or(9094))
}

/// The port of the first alerting address.
pub(crate) fn alerting_port(settings: &Settings) -> Option<u16> {
    settings.flags.list("alerting.listen-address").first()?.rsplit_once(':')?.1.parse().ok()
}
