//! What a web configuration file says, ready for use.
//!
//! Reading ends in values that are right by construction, or in an error with file, line and column.
//! It must not know when the file is read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rustls::ServerConfig;
use serde::Deserialize;

use super::rate::RateLimit;
use super::reread::Files;
use super::tls;
use super::users::{Login, Users};
use crate::config::{ConfigError, Node, Place, Secret, Value, parse_yaml};
use crate::http::Response;

/// The headers that may be set, and their values where only some are allowed.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Units of Go's durations, in seconds; a unit that begins with another stands before it.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// One state of the file.
#[derive(Debug)]
pub(in crate::http) struct WebConfig {
    tls: Option<Arc<ServerConfig>>,
    users: Users,
    headers: Vec<(HeaderName, HeaderValue)>,
    rate: Option<RateLimit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    tls_server_config: tls::Written,
    http_server_config: Http,
    basic_auth_users: BTreeMap<String, Secret>,
    rate_limit: Rate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    /// Taken and not spoken: each client of ours is content with HTTP/1.1, and may ask for it.
    #[serde(rename = "http2")]
    _http2: bool,
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rate {
    interval: String,
    burst: u32,
}

impl WebConfig {
    /// Reads the file and those it names.
    pub(super) fn read(path: &Path, files: &mut Files) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let fail = |what: String| ConfigError::new(Place::file(shown.as_str()), what);
        let bytes = files.read(path).map_err(fail)?;
        let text = String::from_utf8(bytes).map_err(|_| fail("not UTF-8 text".to_owned()))?;
        let node = parse_yaml(&shown, &text)?;
        let written: Written = node.read()?;
        Ok(WebConfig {
            tls: tls::build(&part(&node, "tls_server_config"), &written.tls_server_config, files)?,
            users: users(&part(&node, "basic_auth_users"), written.basic_auth_users)?,
            headers: headers(&part(&node, "http_server_config"), &written.http_server_config)?,
            rate: rate(&part(&node, "rate_limit"), &written.rate_limit)?,
        })
    }

    /// How connections are secured; nothing for clear text.
    pub(in crate::http) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }

    /// Whom a request is not for: an answer to give instead.
    pub(in crate::http) async fn refuses(&self, request: &HeaderMap) -> Option<Response> {
        if self.rate.as_ref().is_some_and(|rate| !rate.allows(Instant::now())) {
            return Some(Response::text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n"));
        }
        if self.users.is_empty() {
            return None;
        }
        let authorization =
            request.get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        match self.users.login(authorization).await {
            Login::Granted => None,
            Login::Refused => Some(
                Response::text(StatusCode::UNAUTHORIZED, "Unauthorized\n")
                    .with_header(header::WWW_AUTHENTICATE, "Basic"),
            ),
            Login::Busy => Some(
                Response::text(StatusCode::SERVICE_UNAVAILABLE, "too many logins at once\n")
                    .with_header(header::RETRY_AFTER, "1"),
            ),
        }
    }

    /// Adds the configured headers where the answer has none of that name.
    pub(in crate::http) fn complete(&self, answer: &mut HeaderMap) {
        for (name, value) in &self.headers {
            answer.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// What `old` protects by and this does not.
    pub(super) fn drops(&self, old: &WebConfig) -> Option<&'static str> {
        let tls = (old.tls.is_some() && self.tls.is_none()).then_some("tls_server_config");
        let users = !old.users.is_empty() && self.users.is_empty();
        tls.or(users.then_some("basic_auth_users"))
    }
}

/// What stands under a key; nothing at the same place where it is missing.
fn part(node: &Node, key: &str) -> Node {
    let nothing = || Node { place: node.place.clone(), value: Value::Null };
    node.get(key).cloned().unwrap_or_else(nothing)
}

fn users(node: &Node, written: BTreeMap<String, Secret>) -> Result<Users, ConfigError> {
    let mut users = Users::new();
    for (name, hash) in written {
        users.add(&name, hash).map_err(|what| node.get(&name).unwrap_or(node).error(what))?;
    }
    Ok(users)
}

fn headers(node: &Node, written: &Http) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    let section = part(node, "headers");
    section.only_keys(HEADERS.map(|(name, _)| name))?;
    let filled = written.headers.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| parse_header(&section, name, value)).collect()
}

fn parse_header(
    section: &Node,
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let fail = |what: String| section.get(name).unwrap_or(section).error(what);
    let allowed = HEADERS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, v)| v);
    if !allowed.is_empty() && !allowed.contains(&value) {
        return Err(fail(format!("expected one of {}", allowed.join(", "))));
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| fail(e.to_string()))?;
    let value = HeaderValue::from_str(value).map_err(|e| fail(e.to_string()))?;
    Ok((name, value))
}

fn rate(node: &Node, written: &Rate) -> Result<Option<RateLimit>, ConfigError> {
    let at = |key: &str| node.get(key).unwrap_or(node);
    let interval = parse_go_duration(&written.interval)
        .ok_or_else(|| at("interval").error("expected a duration such as 100ms, 1s or 1m30s"))?;
    if interval.is_zero() {
        return Ok(None);
    }
    if written.burst == 0 {
        return Err(
            at("burst").error("expected a whole number from 1: a burst of 0 lets nobody in")
        );
    }
    Ok(Some(RateLimit::new(interval, written.burst, Instant::now())))
}

/// A duration as Go writes one: `1s`, `1m30s`, `1.5h`, `0`; nothing is none.
fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = if text == "0" { "" } else { text };
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, length) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * length;
        rest = tail.strip_prefix(unit)?;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<WebConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.yml");
        std::fs::write(&path, text).unwrap();
        let read = WebConfig::read(&path, &mut Files::default());
        read.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "web.yml"))
    }

    const HASH: &str = "$2y$04$.....................................................";

    #[test]
    fn an_empty_file_protects_nothing() {
        for text in [
            "",
            "# nothing\n",
            "tls_server_config:\nbasic_auth_users:\n",
            "tls_server_config: {cert_file: ''}",
        ] {
            let config = read(text).unwrap();
            assert!(config.tls.is_none() && config.users.is_empty() && config.rate.is_none());
        }
    }

    #[test]
    fn mistakes_name_their_place_and_never_a_value() {
        let cases = [
            (
                "tls_serve_config: {}",
                "web.yml:1:1: unknown key \"tls_serve_config\"; did you mean \"tls_server_config\"?",
            ),
            (
                "tls_server_config: {cert_fil: x}",
                "web.yml:1:21: unknown key \"cert_fil\"; did you mean \"cert_file\"?",
            ),
            (
                "tls_server_config:\n  min_version: TLS13",
                "web.yml:2:3: cert or cert_file is missing",
            ),
            ("tls_server_config: {cert_file: x}", "web.yml:1:32: cannot read "),
            (
                "tls_server_config: {client_auth_type: All, key: a, cert: b}",
                "web.yml:1:39: expected one of NoClientCert, ",
            ),
            (
                "tls_server_config: {max_version: TLS11}",
                "web.yml:1:34: expected one of TLS12, TLS13",
            ),
            ("basic_auth_users: {a: hunter2}", "web.yml:1:23: this is no bcrypt hash"),
            ("basic_auth_users: [a]", "web.yml:1:19: expected a map, found a list"),
            (
                "http_server_config: {headers: {X-Frame: deny}}",
                "web.yml:1:32: unknown key \"X-Frame\"",
            ),
            (
                "http_server_config: {headers: {X-Frame-Options: DENY}}",
                "web.yml:1:49: expected one of deny, sameorigin",
            ),
            ("http_server_config: {http2: maybe}", "web.yml:1:29: expected true or false"),
            ("rate_limit: {interval: fast}", "web.yml:1:24: expected a duration"),
            ("rate_limit: {interval: 1s}", "web.yml:1:13: expected a whole number from 1"),
            ("a: [", "web.yml:"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn headers_are_added_where_the_answer_has_none() {
        let text = "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
                    Content-Security-Policy: \"default-src 'self'\"\n    X-XSS-Protection: ''\n";
        let config = read(text).unwrap();
        let mut answer = HeaderMap::new();
        answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("own"));
        config.complete(&mut answer);
        assert_eq!(
            (answer.len(), &answer["x-frame-options"]),
            (2, &HeaderValue::from_static("deny"))
        );
        assert_eq!(answer[header::CONTENT_SECURITY_POLICY], "own");
        assert!(config.refuses(&HeaderMap::new()).await.is_none());
    }

    #[tokio::test]
    async fn who_is_not_known_is_asked_and_who_asks_too_often_is_sent_away() {
        let text =
            format!("rate_limit: {{interval: 1h, burst: 2}}\nbasic_auth_users: {{a: {HASH}}}\n");
        let config = read(&text).unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let refusal = config.refuses(&HeaderMap::new()).await.unwrap();
            seen.push((
                refusal.status.as_u16(),
                refusal.headers.contains_key(header::WWW_AUTHENTICATE),
            ));
        }
        assert_eq!(seen, [(401, true), (401, true), (429, false)]);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("", 0),
            ("0", 0),
            ("0s", 0),
            ("100ms", 100),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("500us500µs", 1),
        ] {
            assert_eq!(
                parse_go_duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for bad in ["1", "s", "-1s", "1d", ".s", "1 s", "9e99h", "99999999999999999999h"] {
            assert_eq!(parse_go_duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(
            keys in prop::collection::vec(prop::sample::select(vec![
                "tls_server_config: {", "cert: ", "key: ", "client_ca: ", "client_auth_type: ", "RequestClientCert", "}\n",
                "basic_auth_users: ", "rate_limit: ", "interval: 1s", ", ", "[", "]", "-----BEGIN CERTIFICATE-----\\n", "MAA=", "\n",
            ]), 0..12),
        ) {
            drop(read(&keys.concat()));
        }

        #[test]
        fn any_duration_is_survived(text in "[0-9.hmsnuµ]{0,12}") {
            parse_go_duration(&text);
        }
    }
}
