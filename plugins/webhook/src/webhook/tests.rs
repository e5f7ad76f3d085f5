//! The payload to the byte, the configuration's errors, and real requests over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vigie_core::config::parse_yaml;
use vigie_core::notify::Retry;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn notification() -> Notification {
    let alert = |instance: &str, ends: i64| {
        Arc::new(Alert {
            labels: LabelSet::new([("alertname", "Down"), ("instance", instance)]),
            annotations: LabelSet::new([("summary", "it is down")]),
            starts_at: at(1_700_000_000),
            ends_at: at(ends),
            updated_at: at(1_700_000_000),
            generator_url: "http://prom.example/graph".into(),
            timeout: true,
        })
    };
    let now = at(1_700_000_600);
    let group = "{}:{alertname=\"Down\"}".to_owned();
    let mut of = Notification::new("team".into(), group, Reason::FirstNotification, now);
    of.group_labels = LabelSet::new([("alertname", "Down")]);
    of.alerts = vec![alert("b", 1_700_000_300), alert("a", 1_700_009_000)];
    of.external_url = "http://vigie.example:9094".into();
    of
}

fn try_build(text: &str, global: &str) -> Result<Box<dyn Notifier>, String> {
    let (node, global) = (parse_yaml("a.yml", text).unwrap(), parse_yaml("a.yml", global).unwrap());
    let templates = Templates::default();
    build(&node, &NotifierSetting::new(&global, &templates)).map_err(|error| error.to_string())
}

fn json(max_alerts: usize) -> serde_json::Value {
    serde_json::to_value(Message::new(&notification(), max_alerts)).unwrap()
}

#[test]
fn the_payload_is_version_4() {
    let text = serde_json::to_string(&Message::new(&notification(), 1)).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"receiver":"team","status":"resolved","alerts":[{"status":"resolved","#,
            r#""labels":{"alertname":"Down","instance":"b"},"annotations":{"summary":"it is down"},"#,
            r#""startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-14T22:18:20Z","#,
            r#""generatorURL":"http://prom.example/graph","fingerprint":"b099cbba4357498b"}],"#,
            r#""groupLabels":{"alertname":"Down"},"#,
            r#""commonLabels":{"alertname":"Down","instance":"b"},"#,
            r#""commonAnnotations":{"summary":"it is down"},"#,
            r#""externalURL":"http://vigie.example:9094","#,
            r#""notification_reason":"first notification","version":"4","#,
            r#""groupKey":"{}:{alertname=\"Down\"}","truncatedAlerts":1}"#
        )
    );
    let all = json(0);
    assert_eq!(all["status"], "firing");
    assert_eq!(all["alerts"][1]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(all["commonLabels"].as_object().unwrap().len(), 1);
    assert_eq!(json(5)["truncatedAlerts"], 0);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, expected) in [
        ("{}", "a.yml:1:1: key \"url\" or \"url_file\" is missing"),
        ("url: 'ftp://hunter2/'", "a.yml:1:6: not a valid URL: expected http"),
        ("url: 'hunter2'", "a.yml:1:6: not a valid URL: relative URL without a base"),
        ("url: 'http://hunter2:x/'", "a.yml:1:6: not a valid URL: invalid port number"),
        ("url: 'http://x/{{ hunter2 }}'", "a.yml:1:6: bad template: 1:13: function"),
        ("url: 'http://x'\nurl_file: x", "a.yml:2:11: url and url_file exclude each other"),
        ("url: 'http://x'\nmax_alert: 3", "a.yml:2:1: unknown key \"max_alert\"; did you mean"),
        ("url: 'http://x'\npayload: {}", "a.yml:2:10: payload is not supported yet"),
        ("url: 'http://x'\nhttp_config: {oauth2: {}}", "a.yml:2:23: oauth2 is not supported yet"),
    ] {
        let error = try_build(text, "").map(drop).unwrap_err();
        assert!(error.starts_with(expected), "{text}: {error}");
        assert!(!error.contains("hunter2/") && !error.contains("'hunter2'"), "{error}");
    }
    let error = try_build("url: 'http://x'", "http_config: {oauth2: {}}").map(drop).unwrap_err();
    assert!(error.contains("oauth2"), "the global section counts: {error}");
}

/// Answers one request and gives back what was asked.
async fn answer(listener: TcpListener, answer: &str) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.ends_with(b"}") {
        let n = socket.read(&mut chunk).await.unwrap();
        assert!(n > 0, "the request ended early");
        request.extend_from_slice(&chunk[..n]);
    }
    socket.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

/// Sends to a listener that gives `reply`; what it got, and what came of it.
async fn deliver(more: &str, reply: &str) -> (String, Result<(), NotifyError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hunter2?key={{{{ .Receiver }}}}", listener.local_addr().unwrap());
    let hook = try_build(&format!("url: '{url}'\n{more}"), "").unwrap();
    let notification = notification();
    tokio::join!(answer(listener, reply), hook.notify(&notification))
}

#[tokio::test]
async fn a_request_carries_payload_and_log_in() {
    let more =
        "http_config: {basic_auth: {username: u, password: p}, http_headers: {X-A: {values: [b]}}}";
    let (request, outcome) = deliver(more, "HTTP/1.1 204 No Content\r\n\r\n").await;
    outcome.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /hunter2?key=team http/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json",
        concat!("user-agent: vigie/", env!("CARGO_PKG_VERSION")),
        "authorization: basic dtpw",
        "x-a: b",
    ] {
        assert!(head.lines().any(|have| have == line), "{line}\n{head}");
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, json(0));
}

#[tokio::test]
async fn an_answer_becomes_an_advice_without_the_url() {
    let too_many = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    let echo = "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\nCannot POST/hunter2";
    for (reply, retry) in [
        (too_many, Retry::After(Duration::from_secs(3))),
        (echo, Retry::Never),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Retry::Backoff),
        ("nonsense\r\n\r\n", Retry::Backoff),
        ("", Retry::Backoff),
    ] {
        let (_, outcome) = deliver("", reply).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.retry, retry, "{reply}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn nobody_listening_is_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let hook = try_build(&format!("url: 'http://127.0.0.1:{port}/hunter2'"), "").unwrap();
    let error = hook.notify(&notification()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    assert!(
        error.what.starts_with("cannot connect: ") && !error.what.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hunter2", listener.local_addr().unwrap());
    let hook = try_build(&format!("url: '{url}'\ntimeout: 200ms"), "").unwrap();
    let error = hook.notify(&notification()).await.unwrap_err();
    assert_eq!((error.retry, error.reason), (Retry::Backoff, NotifyReason::DeadlineExceeded));
}

#[tokio::test]
async fn a_redirection_is_followed_only_when_wanted() {
    let reply = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
    let (_, outcome) = deliver("http_config: {follow_redirects: false}", reply).await;
    assert_eq!(outcome.unwrap_err().retry, Retry::Never);
}
