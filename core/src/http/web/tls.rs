//! `tls_server_config` as a configuration of the TLS library.
//!
//! Versions, suites and curves carry Go's names; what Go knows and the library does not speak is
//! left out where something else remains. It must not know sockets.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    Error, InconsistentKeys, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use serde::Deserialize;

use super::certificate::Certificate;
use super::client::{self, Policy};
use super::reread::Files;
use crate::config::{ConfigError, Node, Secret, TlsVersion, Value, nearest};

/// Suites of TLS 1.3, which Go names and always has on.
const ALWAYS: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Suites of TLS 1.2 that some Go knows and that are not spoken here: CBC, or without forward secrecy.
const NOT_SPOKEN: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// Curves by Go's names; the library has no P-521.
fn known_curves() -> [(&'static str, Option<&'static dyn SupportedKxGroup>); 4] {
    [
        ("X25519", Some(ring::kx_group::X25519)),
        ("CurveP256", Some(ring::kx_group::SECP256R1)),
        ("CurveP384", Some(ring::kx_group::SECP384R1)),
        ("CurveP521", None),
    ]
}

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    cert: String,
    cert_file: String,
    key: Secret,
    key_file: String,
    client_ca: String,
    client_ca_file: String,
    client_auth_type: String,
    client_allowed_sans: Vec<String>,
    #[serde(rename = "min_version")]
    _min_version: String,
    #[serde(rename = "max_version")]
    _max_version: String,
    cipher_suites: Vec<String>,
    prefer_server_cipher_suites: bool,
    curve_preferences: Vec<String>,
}

impl Default for Written {
    fn default() -> Self {
        Written {
            cert: String::new(),
            cert_file: String::new(),
            key: Secret::default(),
            key_file: String::new(),
            client_ca: String::new(),
            client_ca_file: String::new(),
            client_auth_type: String::new(),
            client_allowed_sans: Vec::new(),
            _min_version: String::new(),
            _max_version: String::new(),
            cipher_suites: Vec::new(),
            prefer_server_cipher_suites: true,
            curve_preferences: Vec::new(),
        }
    }
}

/// Reads the section and the files it names; nothing when nothing is written.
pub(super) fn build(
    node: &Node,
    written: &Written,
    files: &mut Files,
) -> Result<Option<Arc<ServerConfig>>, ConfigError> {
    if !node.entries()?.iter().any(|entry| is_filled(&entry.value)) {
        return Ok(None);
    }
    let mut section = Section { node, files };
    let versions = section.versions()?;
    let policy = section.policy(written)?;
    let identity = section.identity(written)?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: section.suites(written, &versions)?,
        kx_groups: section.curves(written)?,
        ..ring::default_provider()
    });
    let authorities = section.authorities(written, policy)?;
    let verifier = client::verifier(policy, authorities, &written.client_allowed_sans, &provider)
        .map_err(|what| section.at("client_ca_file").error(what))?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| node.error(error.to_string()))?;
    let resolver = Arc::new(SingleCertAndKey::from(identity));
    let mut config = match verifier {
        None => builder.with_no_client_auth().with_cert_resolver(resolver),
        Some(verifier) => {
            let verified = builder.with_client_cert_verifier(verifier);
            let mut config = verified.with_cert_resolver(resolver);
            // A resumed session would outlive the certificate it began with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.ignore_client_order = written.prefer_server_cipher_suites;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn is_filled(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Scalar { text, .. } => !text.is_empty(),
        Value::Seq(items) => !items.is_empty(),
        Value::Map(_) => true,
    }
}

/// The section being read.
struct Section<'a> {
    node: &'a Node,
    files: &'a mut Files,
}

impl Section<'_> {
    /// The value of a key, or the section where it is missing.
    fn at(&self, key: &str) -> &Node {
        self.node.get(key).unwrap_or(self.node)
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
        let (min, max) = TlsVersion::bounds(self.node)?;
        let mut versions = Vec::new();
        if max != TlsVersion::Tls12 {
            versions.push(&version::TLS13);
        }
        if min != TlsVersion::Tls13 {
            versions.push(&version::TLS12);
        }
        Ok(versions)
    }

    fn policy(&self, written: &Written) -> Result<Policy, ConfigError> {
        let policy = Policy::parse(&written.client_auth_type)
            .map_err(|what| self.at("client_auth_type").error(what))?;
        let needs = [
            ("client_ca", !written.client_ca.is_empty()),
            ("client_ca_file", !written.client_ca_file.is_empty()),
            ("client_allowed_sans", !written.client_allowed_sans.is_empty()),
        ];
        match needs.iter().find(|(_, given)| *given && policy == Policy::NoClientCert) {
            Some((key, _)) => Err(self.at(key).error(format!("{key} needs a client_auth_type"))),
            None => Ok(policy),
        }
    }

    fn identity(&mut self, written: &Written) -> Result<CertifiedKey, ConfigError> {
        let chain = self.text_or_file("cert", &written.cert, &written.cert_file)?;
        let chain = chain.ok_or_else(|| self.missing("cert"))?;
        let key = self.text_or_file("key", written.key.expose(), &written.key_file)?;
        let key = key.ok_or_else(|| self.missing("key"))?;
        let chain = self.certificates("cert", &chain)?;
        let fail = |section: &Self, what: &str| section.origin("key").error(what);
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| fail(self, "no private key in PEM form, or an encrypted one"))?;
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| fail(self, "not a private key that can be used here (RSA from 2048 bits, P-256, P-384, Ed25519)"))?;
        let identity = CertifiedKey::new(chain, key);
        // Certificates of version 1 cannot be compared by the library, and serve all the same.
        if identity.keys_match() == Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
            return Err(fail(self, "this key does not belong to the certificate"));
        }
        Ok(identity)
    }

    fn authorities(
        &mut self,
        written: &Written,
        policy: Policy,
    ) -> Result<Option<Vec<CertificateDer<'static>>>, ConfigError> {
        let pem = self.text_or_file("client_ca", &written.client_ca, &written.client_ca_file)?;
        match pem {
            Some(pem) => self.certificates("client_ca", &pem).map(Some),
            // As Go has it: without authorities those of the system judge.
            None if policy.verifies() => Ok(Some(rustls_native_certs::load_native_certs().certs)),
            None => Ok(None),
        }
    }

    fn certificates(
        &self,
        key: &str,
        pem: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let sound = parsed
            .ok()
            .filter(|all| all.first().is_some_and(|first| Certificate::parse(first).is_some()));
        sound.ok_or_else(|| self.origin(key).error("no certificate in PEM form"))
    }

    fn suites(
        &self,
        written: &Written,
        versions: &[&SupportedProtocolVersion],
    ) -> Result<Vec<SupportedCipherSuite>, ConfigError> {
        let all = ring::default_provider().cipher_suites;
        if written.cipher_suites.is_empty() {
            return Ok(all);
        }
        let named = |name: &str| all.iter().find(|suite| suite.suite().as_str() == Some(name));
        let mut chosen: Vec<_> =
            all.iter().filter(|suite| suite.tls13().is_some()).copied().collect();
        for (at, name) in written.cipher_suites.iter().enumerate() {
            match named(name) {
                Some(suite) => chosen.push(*suite),
                None if ALWAYS.contains(&name.as_str()) || NOT_SPOKEN.contains(&name.as_str()) => {}
                None => {
                    let spoken = all.iter().filter_map(|suite| suite.suite().as_str());
                    let known = spoken.filter(|name| !name.starts_with("TLS13")).chain(ALWAYS);
                    return Err(self.unknown("cipher_suites", at, "cipher suite", name, known));
                }
            }
        }
        let usable = |suite: &SupportedCipherSuite| versions.contains(&suite.version());
        if !chosen.iter().any(usable) {
            return Err(self.at("cipher_suites").error("none of these is spoken here"));
        }
        Ok(chosen)
    }

    fn curves(&self, written: &Written) -> Result<Vec<&'static dyn SupportedKxGroup>, ConfigError> {
        if written.curve_preferences.is_empty() {
            return Ok(ring::default_provider().kx_groups);
        }
        let mut chosen = Vec::new();
        for (at, name) in written.curve_preferences.iter().enumerate() {
            match known_curves().into_iter().find(|(known, _)| known == name) {
                Some((_, curve)) => chosen.extend(curve),
                None => {
                    let known = known_curves().map(|(name, _)| name);
                    return Err(self.unknown("curve_preferences", at, "curve", name, known));
                }
            }
        }
        if chosen.is_empty() {
            return Err(self.at("curve_preferences").error("none of these is spoken here"));
        }
        Ok(chosen)
    }

    fn text_or_file(
        &mut self,
        key: &str,
        text: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, ConfigError> {
        let file_key = format!("{key}_file");
        let at = self.node.get(&file_key).unwrap_or(self.node);
        match (text, path) {
            ("", "") => Ok(None),
            (text, "") => Ok(Some(text.as_bytes().to_vec())),
            ("", path) => {
                let path = at.place.resolve(Path::new(path));
                self.files.read(&path).map(Some).map_err(|what| at.error(what))
            }
            _ => Err(at.error(format!("{key} and {file_key} exclude each other"))),
        }
    }

    /// Where the bytes of `key` come from: the text, or the name of the file.
    fn origin(&self, key: &str) -> &Node {
        let file = self.node.get(&format!("{key}_file")).filter(|node| is_filled(node));
        file.unwrap_or_else(|| self.at(key))
    }

    fn missing(&self, key: &str) -> ConfigError {
        self.node.error(format!("{key} or {key}_file is missing"))
    }

    fn unknown<'n>(
        &self,
        list: &str,
        at: usize,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> ConfigError {
        let items = self.at(list);
        let item = items.items().ok().and_then(|items| items.get(at)).unwrap_or(items);
        let meant = nearest(name, known).map(|meant| format!("; did you mean {meant:?}?"));
        item.error(format!("not the name of a {what}{}", meant.unwrap_or_default()))
    }
}
