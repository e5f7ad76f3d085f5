//! `tls_config` of a client, as Prometheus and Alertmanager write it.
//!
//! Whoever connects somewhere reads the same keys; the bytes of the files go to the TLS library of
//! the caller. It must not know any TLS library.

use std::path::Path;

use serde::Deserialize;

use super::{ConfigError, Node, read_bounded};

/// What is said about the TLS of a connection; the files are read already.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// PEM of the authorities to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// PEM of the client's certificate chain and of its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name the server's certificate must have, when it is not the host's.
    pub server_name: Option<String>,
    /// Trust any certificate.
    pub insecure_skip_verify: bool,
    /// Nothing older.
    pub min_version: TlsVersion,
    /// Nothing newer.
    pub max_version: TlsVersion,
}

/// A version of TLS. Of `TLS10` and `TLS11`, which no library here speaks, a minimum means 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// As the library has it.
    #[default]
    Unset,
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    ca_file: String,
    cert_file: String,
    key_file: String,
    server_name: String,
    insecure_skip_verify: bool,
    #[serde(rename = "min_version")]
    _min_version: String,
    #[serde(rename = "max_version")]
    _max_version: String,
}

impl TlsVersion {
    /// Reads `min_version` and `max_version` of a map.
    pub(crate) fn bounds(node: &Node) -> Result<(Self, Self), ConfigError> {
        let version = |key: &str| match node.get(key).map_or(Ok(""), Node::text)? {
            "" => Ok(TlsVersion::Unset),
            "TLS10" | "TLS11" if key == "min_version" => Ok(TlsVersion::Tls12),
            "TLS12" => Ok(TlsVersion::Tls12),
            "TLS13" => Ok(TlsVersion::Tls13),
            _ => Err(node.get(key).unwrap_or(node).error("expected one of TLS12, TLS13")),
        };
        match (version("min_version")?, version("max_version")?) {
            (TlsVersion::Tls13, TlsVersion::Tls12) => {
                Err(node.error("max_version is older than min_version"))
            }
            bounds => Ok(bounds),
        }
    }
}

impl TlsConfig {
    /// Reads the map and the files it names; nothing when nothing is there.
    ///
    /// # Errors
    /// For an unknown key or version, a file that cannot be read, a certificate without key.
    pub fn read(node: &Node) -> Result<Self, ConfigError> {
        let written: Written = node.read()?;
        let file = |key: &str, path: &str| {
            let at = node.get(key).unwrap_or(node);
            read_bounded(&at.place.resolve(Path::new(path)), 1 << 20).map_err(|e| at.error(e))
        };
        let ca = match written.ca_file.as_str() {
            "" => None,
            path => Some(file("ca_file", path)?),
        };
        let identity = match (written.cert_file.as_str(), written.key_file.as_str()) {
            ("", "") => None,
            ("", _) | (_, "") => {
                return Err(node.error("cert_file and key_file belong together"));
            }
            (cert, key) => Some((file("cert_file", cert)?, file("key_file", key)?)),
        };
        let (min_version, max_version) = TlsVersion::bounds(node)?;
        Ok(TlsConfig {
            ca,
            identity,
            server_name: Some(written.server_name).filter(|name| !name.is_empty()),
            insecure_skip_verify: written.insecure_skip_verify,
            min_version,
            max_version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    #[test]
    fn errors_name_their_place() {
        let read = |text: &str| TlsConfig::read(&parse_yaml("a.yml", text).unwrap());
        let fine = read("insecure_skip_verify: true\nmin_version: TLS11\nserver_name: x").unwrap();
        assert!(fine.insecure_skip_verify && fine.min_version == TlsVersion::Tls12);
        for (text, expected) in [
            ("ca_fil: x", "a.yml:1:1: unknown key \"ca_fil\"; did you mean \"ca_file\"?"),
            ("ca_file: /nonexistent", "a.yml:1:10: cannot read /nonexistent: "),
            ("cert_file: x", "a.yml:1:1: cert_file and key_file belong together"),
            ("max_version: TLS11", "a.yml:1:14: expected one of TLS12, TLS13"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
