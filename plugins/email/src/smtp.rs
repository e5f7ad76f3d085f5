//! The mail server: connect, encrypt, log in, hand over.
//!
//! One connection per mail, because minutes lie between two of them; what the server answers
//! becomes an advice for the router. It must not know what is in a mail.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Identity, TlsParameters, TlsVersion,
};
use lettre::transport::smtp::extension::ClientId;
use vigie_core::config::{self, ConfigError, Node, SecretSource, TlsConfig};
use vigie_core::notify::{NotifyError, NotifyReason};

use crate::config::Reader;

/// For one mail from connecting to the server's last word.
const DEADLINE: Duration = Duration::from_secs(60);

/// A mail server and how to get past its door.
pub(crate) struct Server {
    host: String,
    port: u16,
    hello: ClientId,
    encryption: Encryption,
    tls: TlsParameters,
    login: Option<Login>,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Encryption {
    /// From the first byte (port 465).
    Implicit,
    /// By STARTTLS, or not at all.
    StartTls,
    /// Never.
    None,
}

#[derive(Debug)]
struct Login {
    user: String,
    password: SecretSource,
}

impl Server {
    /// Reads the keys of the server.
    ///
    /// # Errors
    /// For what is missing, wrong or not supported, at its place.
    pub(crate) fn read(read: &Reader<'_>) -> Result<Self, ConfigError> {
        let at = read.get("smarthost").ok_or_else(|| read.missing("smarthost"))?;
        let (host, port) = host_and_port(at.text()?)
            .ok_or_else(|| at.error("expected host:port, for example mail.example.com:587"))?;
        let hello = read.text("hello")?.filter(|name| !name.is_empty()).unwrap_or("localhost");
        if !hello.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(read.get("hello").unwrap_or(at).error("expected the name of a host"));
        }
        let implicit = read.flag("force_implicit_tls")?.unwrap_or(port == 465);
        let encryption = match read.flag("require_tls")?.unwrap_or(true) {
            _ if implicit => Encryption::Implicit,
            true => Encryption::StartTls,
            false => Encryption::None,
        };
        let tls = match read.get("tls_config") {
            None => TlsParameters::builder(host.to_owned()).build_rustls(),
            Some(node) => tls_parameters(host, node)?,
        };
        let tls =
            tls.map_err(|error| at.error(format!("cannot prepare TLS: {}", chain(&error))))?;
        Ok(Server {
            host: host.to_owned(),
            port,
            hello: ClientId::Domain(hello.to_owned()),
            encryption,
            tls,
            login: Login::read(read)?,
        })
    }

    /// Hands a mail over.
    ///
    /// # Errors
    /// With an advice: what the server refuses for now, or a broken connection, is worth another
    /// try; what it refuses for good is not.
    pub(crate) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), NotifyError> {
        match tokio::time::timeout(DEADLINE, self.converse(envelope, mail)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NotifyError::temporary(
                NotifyReason::DeadlineExceeded,
                format!("the mail server did not answer within {} s", DEADLINE.as_secs()),
            )),
        }
    }

    async fn converse(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), NotifyError> {
        let failed = |doing: &'static str| move |error: Error| judge(doing, &error);
        let password = self.login.as_ref().map(|login| login.password.read()).transpose();
        let password = password.map_err(|e| NotifyError::temporary(NotifyReason::Other, e))?;
        let implicit = (self.encryption == Encryption::Implicit).then(|| self.tls.clone());
        let address = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(DEADLINE),
            &self.hello,
            implicit,
            None,
        )
        .await
        .map_err(failed("cannot connect to the mail server"))?;
        if self.encryption == Encryption::StartTls {
            if !connection.can_starttls() {
                return Err(NotifyError::permanent(
                    NotifyReason::Other,
                    "require_tls is true, but the mail server does not offer STARTTLS",
                ));
            }
            connection
                .starttls(self.tls.clone(), &self.hello)
                .await
                .map_err(failed("cannot encrypt the connection to the mail server"))?;
        }
        if let (Some(login), Some(password)) = (&self.login, password)
            && let Some(mechanism) = self.mechanism(&connection)
        {
            let credentials = Credentials::new(login.user.clone(), password.expose().to_owned());
            connection
                .auth(&[mechanism], &credentials)
                .await
                .map_err(failed("cannot log in to the mail server"))?;
        }
        connection
            .send(envelope, mail)
            .await
            .map_err(failed("the mail server refused the mail"))?;
        // The mail is theirs now, whatever becomes of the farewell.
        drop(connection.quit().await);
        Ok(())
    }

    /// The way to log in, if the server offers one. The password goes in clear by PLAIN only to
    /// this very machine.
    fn mechanism(&self, connection: &AsyncSmtpConnection) -> Option<Mechanism> {
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let plain = self.encryption != Encryption::None || local;
        let wanted: &[_] =
            if plain { &[Mechanism::Plain, Mechanism::Login] } else { &[Mechanism::Login] };
        connection.server_info().get_auth_mechanism(wanted)
    }
}

impl Login {
    fn read(read: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        let user = read.text("auth_username")?.unwrap_or_default();
        let password = read.secret("auth_password")?;
        if password.is_none() && read.secret("auth_secret")?.is_some() {
            let at = ["auth_secret", "auth_secret_file"].into_iter().find_map(|key| read.get(key));
            let what = "auth_secret (CRAM-MD5) is not supported yet; use auth_password";
            return Err(at.unwrap_or(read.node).error(what));
        }
        let identity = read.text("auth_identity")?.unwrap_or_default();
        if !identity.is_empty() && identity != user {
            let at = read.get("auth_identity").unwrap_or(read.node);
            return Err(at.error("an auth_identity other than auth_username is not supported yet"));
        }
        match (user, password) {
            ("", _) => Ok(None),
            (user, Some(password)) => Ok(Some(Login { user: user.to_owned(), password })),
            (_, None) => Err(read.missing("auth_password")),
        }
    }
}

/// `host:port`, `[::1]:25`.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let whole = !host.is_empty() && (bare.is_some() || !host.contains(':'));
    port.parse().ok().filter(|port| whole && *port != 0).map(|port| (host, port))
}

fn tls_parameters(host: &str, node: &Node) -> Result<Result<TlsParameters, Error>, ConfigError> {
    let config = TlsConfig::read(node)?;
    if config.max_version == config::TlsVersion::Tls12 {
        return Err(node.error("a max_version of TLS12 is not supported for mail"));
    }
    let name = config.server_name.unwrap_or_else(|| host.to_owned());
    let mut builder = TlsParameters::builder(name)
        .dangerous_accept_invalid_certs(config.insecure_skip_verify)
        .dangerous_accept_invalid_hostnames(config.insecure_skip_verify);
    if config.min_version == config::TlsVersion::Tls13 {
        builder = builder.set_min_tls_version(TlsVersion::Tlsv13);
    }
    if let Some(pem) = config.ca {
        let ca = Certificate::from_pem(&pem)
            .map_err(|_| node.error("ca_file: no certificate in PEM"))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(ca);
    }
    if let Some((cert, key)) = config.identity {
        let identity = Identity::from_pem(&cert, &key)
            .map_err(|_| node.error("cert_file, key_file: no certificate and key in PEM"))?;
        builder = builder.identify_with(identity);
    }
    Ok(builder.build_rustls())
}

/// What to do after an error.
fn judge(doing: &str, error: &Error) -> NotifyError {
    let what = format!("{doing}: {}", chain(error));
    let code = error.status().map(u16::from);
    let reason = match code {
        Some(530 | 534 | 535 | 538) => NotifyReason::AuthError,
        Some(400..=499) => NotifyReason::ServerError,
        Some(_) => NotifyReason::ClientError,
        None if error.is_timeout() => NotifyReason::DeadlineExceeded,
        None => NotifyReason::Other,
    };
    if error.is_permanent() || error.is_client() {
        NotifyError::permanent(reason, what)
    } else {
        NotifyError::temporary(reason, what)
    }
}

/// An error and its causes in one line, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text.replace(['\r', '\n'], " ").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_port() {
        for (text, expected) in [
            ("mail.example:587", Some(("mail.example", 587))),
            ("[::1]:25", Some(("::1", 25))),
            ("mail.example", None),
            ("::1:25", None),
            (":25", None),
            ("x:0", None),
            ("x:99999", None),
        ] {
            assert_eq!(host_and_port(text), expected, "{text}");
        }
    }
}
