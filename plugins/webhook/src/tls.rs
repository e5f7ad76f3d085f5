//! `tls_config` for rustls.
//!
//! The provider is named, never taken from the process, because a library must not depend on what
//! its host has installed. It must not know HTTP.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use vigie_core::config::{TlsConfig, TlsVersion};

/// The configuration of a client's connections.
///
/// # Errors
/// When a certificate, a key or the server's name is not valid.
pub(crate) fn client_config(config: &TlsConfig, http2: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(config))
        .map_err(|error| error.to_string())?;
    let builder = if config.insecure_skip_verify || config.server_name.is_some() {
        let verifier = Verifier::new(config, provider)?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(roots(config)?)
    };
    let mut made = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert).map_err(|what| format!("cert_file: {what}"))?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| "key_file: no private key in PEM".to_owned())?;
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("key_file: {e}"))?
        }
    };
    let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    made.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(made)
}

fn versions(config: &TlsConfig) -> &'static [&'static SupportedProtocolVersion] {
    static OLD: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    static NEW: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match (config.min_version, config.max_version) {
        (_, TlsVersion::Tls12) => &OLD,
        (TlsVersion::Tls13, _) => &NEW,
        _ => rustls::ALL_VERSIONS,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("no certificate in PEM".into()),
    }
}

/// The authorities of `ca_file`, else the system's. There may be none: http:// works all the same.
fn roots(config: &TlsConfig) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &config.ca {
        Some(pem) => {
            for certificate in certificates(pem).map_err(|what| format!("ca_file: {what}"))? {
                roots.add(certificate).map_err(|error| format!("ca_file: {error}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

/// Checks a server's certificate for another name than the host's, or not at all.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: any certificate will do.
    check: Option<(Arc<WebPkiServerVerifier>, ServerName<'static>)>,
}

impl Verifier {
    fn new(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let name = match &config.server_name {
            Some(name) if !config.insecure_skip_verify => name.clone(),
            _ => return Ok(Verifier { provider, check: None }),
        };
        let name = ServerName::try_from(name).map_err(|_| "server_name: not the name of a host")?;
        let roots = Arc::new(roots(config)?);
        let check = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Verifier { provider, check: Some((check, name)) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            None => Ok(ServerCertVerified::assertion()),
            Some((check, name)) => {
                check.verify_server_cert(end_entity, intermediates, name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
