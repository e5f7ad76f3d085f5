//! `http_config`: how a service is reached, in Alertmanager's words.
//!
//! Read once into values that are right by construction; secrets in files are read when a request
//! is made. It must not know any service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Proxy, RequestBuilder, redirect};
use serde::Deserialize;
use vigie_core::config::{ConfigError, Node, PromDuration, Secret, SecretSource, TlsConfig};

use crate::tls;

/// A server that does not even take the connection is tried again by the router.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// A client and what each of its requests carries.
#[derive(Debug)]
pub(crate) struct HttpConfig {
    pub(crate) client: Client,
    login: Login,
    headers: Vec<Header>,
}

/// How requests log in.
#[derive(Debug)]
enum Login {
    None,
    Basic { user: String, password: Option<SecretSource> },
    Credentials { scheme: String, secret: SecretSource },
}

/// A header a user adds.
#[derive(Debug)]
struct Header {
    name: HeaderName,
    value: SecretSource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    basic_auth: Option<BasicAuth>,
    authorization: Option<Authorization>,
    bearer_token: Option<Secret>,
    bearer_token_file: Option<PathBuf>,
    oauth2: Option<serde::de::IgnoredAny>,
    enable_http2: Option<bool>,
    proxy_url: Option<Secret>,
    no_proxy: Option<String>,
    proxy_from_environment: bool,
    proxy_connect_header: Option<serde::de::IgnoredAny>,
    follow_redirects: Option<bool>,
    tls_config: Option<serde::de::IgnoredAny>,
    http_headers: BTreeMap<String, HeaderValues>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BasicAuth {
    username: String,
    #[serde(rename = "password")]
    _password: Option<Secret>,
    #[serde(rename = "password_file")]
    _password_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Authorization {
    r#type: Option<String>,
    #[serde(rename = "credentials")]
    _credentials: Option<Secret>,
    #[serde(rename = "credentials_file")]
    _credentials_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HeaderValues {
    values: Vec<String>,
    secrets: Vec<Secret>,
    files: Vec<PathBuf>,
}

impl HttpConfig {
    /// Reads the map and builds the client; `timeout` bounds a whole request.
    ///
    /// # Errors
    /// For anything that is wrong or not supported yet, at its place.
    pub(crate) fn read(node: &Node, timeout: PromDuration) -> Result<Self, ConfigError> {
        let written: Written = node.read()?;
        let at = |key: &str| node.get(key).unwrap_or(node);
        if written.oauth2.is_some() {
            return Err(at("oauth2").error("oauth2 is not supported yet"));
        }
        if written.proxy_connect_header.is_some() {
            return Err(
                at("proxy_connect_header").error("proxy_connect_header is not supported yet")
            );
        }
        let tls_node =
            node.get("tls_config").cloned().unwrap_or(Node::null(node.place.file.clone()));
        let tls = TlsConfig::read(&tls_node)?;
        let tls = tls::client_config(&tls, written.enable_http2.unwrap_or(true))
            .map_err(|what| tls_node.error(what))?;
        let redirects = match written.follow_redirects {
            Some(false) => redirect::Policy::none(),
            _ => redirect::Policy::limited(10),
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout.0))
            .timeout(timeout.0)
            .redirect(redirects)
            .referer(false);
        if written.enable_http2 == Some(false) {
            builder = builder.http1_only();
        }
        builder = match (&written.proxy_url, written.proxy_from_environment) {
            (Some(_), true) => {
                let what = "proxy_url and proxy_from_environment exclude each other";
                return Err(at("proxy_url").error(what));
            }
            (Some(url), false) => {
                // The reason would quote the URL, which may hold a password.
                let proxy = Proxy::all(url.expose())
                    .map_err(|_| at("proxy_url").error("not a valid URL of a proxy"))?;
                let except = written.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
                builder.proxy(proxy.no_proxy(except))
            }
            (None, true) => builder,
            (None, false) => builder.no_proxy(),
        };
        let client = builder.build().map_err(|error| {
            node.error(format!("cannot make a client: {}", error.without_url()))
        })?;
        Ok(HttpConfig { client, login: login(node, &written)?, headers: headers(node, &written)? })
    }

    /// Adds log-in and headers to a request.
    ///
    /// # Errors
    /// When a secret's file cannot be read or its text is no header; never with the secret.
    pub(crate) fn dress(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        let mut headers = HeaderMap::new();
        for Header { name, value } in &self.headers {
            headers.append(name, secret_header(value.read()?.expose(), name.as_str())?);
        }
        let request = request.headers(headers);
        Ok(match &self.login {
            Login::None => request,
            Login::Basic { user, password } => {
                let password = password.as_ref().map(SecretSource::read).transpose()?;
                request.basic_auth(user, password.as_ref().map(Secret::expose))
            }
            Login::Credentials { scheme, secret } => {
                let text = format!("{scheme} {}", secret.read()?.expose());
                request
                    .header(reqwest::header::AUTHORIZATION, secret_header(&text, "Authorization")?)
            }
        })
    }
}

fn secret_header(text: &str, name: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| format!("the value of header {name} holds a character no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn login(node: &Node, written: &Written) -> Result<Login, ConfigError> {
    let bearer = SecretSource::of(node, "bearer_token")?;
    let ways = [written.basic_auth.is_some(), written.authorization.is_some(), bearer.is_some()];
    if ways.into_iter().filter(|there| *there).count() > 1 {
        let what = "only one of basic_auth, authorization and bearer_token can be used";
        return Err(node.error(what));
    }
    if let Some(secret) = bearer {
        return Ok(Login::Credentials { scheme: "Bearer".into(), secret });
    }
    if let (Some(basic), Some(at)) = (&written.basic_auth, node.get("basic_auth")) {
        let password = SecretSource::of(at, "password")?;
        return Ok(Login::Basic { user: basic.username.clone(), password });
    }
    if let (Some(authorization), Some(at)) = (&written.authorization, node.get("authorization")) {
        let scheme = authorization.r#type.clone().unwrap_or_else(|| "Bearer".into());
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(at.error("for the type Basic use basic_auth"));
        }
        return match SecretSource::of(at, "credentials")? {
            Some(secret) => Ok(Login::Credentials { scheme, secret }),
            None => Err(at.error("key \"credentials\" or \"credentials_file\" is missing")),
        };
    }
    Ok(Login::None)
}

fn headers(node: &Node, written: &Written) -> Result<Vec<Header>, ConfigError> {
    let Some(at) = node.get("http_headers") else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, of) in &written.http_headers {
        let at = at.get(name).unwrap_or(at);
        let header = HeaderName::try_from(name.as_str())
            .map_err(|_| at.error(format!("{name:?} is no name of a header")))?;
        let texts = of.values.iter().map(|text| SecretSource::Text(Secret::new(text.as_str())));
        let secrets = of.secrets.iter().cloned().map(SecretSource::Text);
        let files = of.files.iter().map(|path| SecretSource::File(at.place.resolve(path as &Path)));
        headers.extend(
            texts.chain(secrets).chain(files).map(|value| Header { name: header.clone(), value }),
        );
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::config::parse_yaml;

    fn read(text: &str) -> Result<HttpConfig, String> {
        let timeout = PromDuration(CONNECT_TIMEOUT);
        HttpConfig::read(&parse_yaml("a.yml", text).unwrap(), timeout).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("oauth2: {client_id: x}", "a.yml:1:9: oauth2 is not supported yet"),
            ("proxy_conect_header: {}", "a.yml:1:1: unknown key"),
            ("proxy_url: 'http://u:hunter2@['", "a.yml:1:12: not a valid URL of a proxy"),
            (
                "basic_auth: {username: a, password: b, password_file: c}",
                "a.yml:1:55: password and",
            ),
            ("basic_auth: {username: a}\nbearer_token: b", "a.yml:1:1: only one of"),
            ("authorization: {type: basic, credentials: x}", "a.yml:1:16: for the type Basic"),
            ("authorization: {}", "a.yml:1:16: key \"credentials\""),
            (
                "http_headers: {\"a b\": {values: [x]}}",
                "a.yml:1:23: \"a b\" is no name of a header",
            ),
            ("tls_config: {ca_file: /nonexistent}", "a.yml:1:23: cannot read /nonexistent"),
        ] {
            let error = read(text).map(drop).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert!(read("").is_ok() && read("follow_redirects: false\nenable_http2: false").is_ok());
    }

    #[test]
    fn secrets_do_not_show() {
        let text = "authorization: {credentials: hunter2}\nhttp_headers: {x: {secrets: [hunter2]}}";
        let config = read(text).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let request = config.dress(config.client.post("http://localhost/")).unwrap();
        assert!(!format!("{request:?}").contains("hunter2"));
        let request = request.build().unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer hunter2");
        assert_eq!(request.headers()["x"], "hunter2");
    }
}
