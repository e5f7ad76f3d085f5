//! Which clients' certificates are taken.
//!
//! `client_auth_type` has the five policies of Go's `tls.ClientAuthType`; chains are verified by the
//! TLS library, names here. It must not know where certificates are kept.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::certificate::Certificate;

/// What is asked of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Nothing.
    NoClientCert,
    /// A certificate, which it need not have and nobody verifies.
    Request,
    /// Any certificate, as long as it has the key.
    RequireAny,
    /// A certificate that is verified if there is one.
    VerifyIfGiven,
    /// A certificate that is verified.
    RequireAndVerify,
}

/// Names of the policies; the last one is an older spelling.
const POLICIES: [(&str, Policy); 6] = [
    ("NoClientCert", Policy::NoClientCert),
    ("RequestClientCert", Policy::Request),
    ("RequireAnyClientCert", Policy::RequireAny),
    ("VerifyClientCertIfGiven", Policy::VerifyIfGiven),
    ("RequireAndVerifyClientCert", Policy::RequireAndVerify),
    ("RequireClientCert", Policy::RequireAny),
];

impl Policy {
    /// Reads a name; nothing written is `NoClientCert`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let found = POLICIES.iter().find(|(name, _)| *name == text).map(|(_, policy)| *policy);
        found.or(text.is_empty().then_some(Policy::NoClientCert)).ok_or_else(|| {
            let names: Vec<_> = POLICIES.iter().take(5).map(|(name, _)| *name).collect();
            format!("expected one of {}", names.join(", "))
        })
    }

    /// Whether chains are verified.
    pub(super) const fn verifies(self) -> bool {
        matches!(self, Policy::VerifyIfGiven | Policy::RequireAndVerify)
    }

    const fn requires(self) -> bool {
        matches!(self, Policy::RequireAny | Policy::RequireAndVerify)
    }
}

/// Who carries a policy out; nobody where nothing is asked.
///
/// # Errors
/// When chains are to be verified and no authority can be used.
pub(super) fn verifier(
    policy: Policy,
    authorities: Option<Vec<CertificateDer<'static>>>,
    allowed: &[String],
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    if policy == Policy::NoClientCert {
        return Ok(None);
    }
    let authorities = authorities.unwrap_or_default().into_iter();
    let trusted: Vec<_> =
        authorities.filter_map(|der| Some((Certificate::parse(&der)?, der))).collect();
    let hints = roots(trusted.iter().map(|(_, der)| der)).subjects();
    if policy.verifies() && hints.is_empty() {
        return Err("no authority in it can be used".to_owned());
    }
    Ok(Some(Arc::new(Verifier {
        verifies: policy.verifies(),
        trusted,
        provider: provider.clone(),
        // Whoever has to have one of these names has to have a certificate.
        mandatory: policy.requires() || !allowed.is_empty(),
        allowed: allowed.to_vec(),
        hints,
    })))
}

fn roots<'a>(trusted: impl Iterator<Item = &'a CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.cloned());
    roots
}

#[derive(Debug)]
struct Verifier {
    /// False where any certificate will do.
    verifies: bool,
    /// The authorities; a client whose own certificate is among them needs no chain.
    trusted: Vec<(Certificate, CertificateDer<'static>)>,
    provider: Arc<CryptoProvider>,
    mandatory: bool,
    /// One of these names has to be in the certificate, unless there are none.
    allowed: Vec<String>,
    hints: Vec<DistinguishedName>,
}

impl Verifier {
    /// The library does not ask whether an authority's own time has passed, so each client meets those
    /// that are valid now.
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let valid = self.trusted.iter().filter(|(authority, _)| authority.is_valid(now));
        let roots = Arc::new(roots(valid.map(|(_, der)| der)));
        let chains = WebPkiClientVerifier::builder_with_provider(roots, self.provider.clone());
        let chains = chains.build().map_err(|_| CertificateError::Expired)?;
        chains.verify_client_cert(end_entity, intermediates, now)
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate = Certificate::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
        // The library refuses an authority as a client, be it the only certificate there is.
        let itself = self.trusted.iter().any(|(_, trusted)| trusted == end_entity);
        if self.verifies && !(itself && certificate.serves_client(now)) {
            self.verify_chain(end_entity, intermediates, now)?;
        }
        let named = certificate.names.iter().any(|name| self.allowed.contains(name));
        if !named && !self.allowed.is_empty() {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
