//! The web configuration file: TLS, client certificates, users, headers, a rate limit.
//!
//! Keys and meanings are those of Prometheus' exporter-toolkit 0.17, so that the file of a
//! node_exporter or an Alertmanager is taken as it is. It must not know any route.

mod certificate;
mod client;
mod file;
mod rate;
mod reread;
mod tls;
mod users;

pub(super) use file::WebConfig;
pub use reread::WebConfigFile;
