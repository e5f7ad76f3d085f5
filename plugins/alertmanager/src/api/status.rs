//! `/status` and `/receivers`: what this router is and knows.
//!
//! amtool and Grafana ask before anything else. It must not show a secret: the configuration comes
//! from the view, where secrets are hidden already.

use serde::Serialize;
use vigie_core::route::View;

use super::model::Receiver;
use super::time::Millis;

/// The Alertmanager whose API this is; clients choose their features by it.
const API_VERSION: &str = "0.34.0";

/// `alertmanagerStatus`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    cluster: Cluster,
    config: Config<'a>,
    uptime: Millis,
    version_info: VersionInfo,
}

#[derive(Serialize)]
struct Cluster {
    peers: [(); 0],
    status: &'static str,
}

#[derive(Serialize)]
struct Config<'a> {
    original: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionInfo {
    branch: &'static str,
    build_date: &'static str,
    build_user: &'static str,
    go_version: &'static str,
    revision: &'static str,
    version: &'static str,
}

/// `GET /status`.
pub(super) fn status(view: &View) -> Status<'_> {
    Status {
        cluster: Cluster { peers: [], status: "disabled" },
        config: Config { original: &view.config },
        uptime: Millis(view.started_at),
        version_info: VersionInfo {
            branch: "vigie",
            build_date: "",
            build_user: "",
            go_version: "",
            revision: concat!("vigie ", env!("CARGO_PKG_VERSION")),
            version: API_VERSION,
        },
    }
}

/// `GET /receivers`: all of them, in the order of the configuration.
pub(super) fn receivers(view: &View) -> Vec<Receiver<'_>> {
    view.receivers.iter().map(|name| Receiver { name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn shown_as_alertmanager_does() {
        let view = sample::view();
        let shown = serde_json::to_value(status(&view)).unwrap();
        assert_eq!(shown["cluster"], serde_json::json!({"peers": [], "status": "disabled"}));
        assert_eq!(shown["config"]["original"], "route:\n  receiver: team\n");
        assert_eq!(shown["uptime"], "2026-01-01T00:00:00.000Z");
        assert_eq!(shown["versionInfo"]["revision"], "vigie 0.1.0");
        let receivers = serde_json::to_string(&receivers(&view)).unwrap();
        assert_eq!(receivers, r#"[{"name":"team"},{"name":"page"}]"#);
    }
}
