//! Both ports against clients that are broken, slow or hostile.
//!
//! Every case ends the same way: a clear answer for the client, no harm for anybody else, and a vigie
//! that still runs.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{Answer, Query, SOON, Vigie, get, request, send_raw, wait_for};
use serde_json::json;

const JSON: &str = "application/json";

/// Sends bytes and gives the status of the answer and whether the connection was closed after it.
fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    Answer::parse(&send_raw(address, bytes).unwrap()).unwrap()
}

fn post(vigie: &Vigie, path: &str, body: &[u8]) -> Answer {
    request(vigie.alerting, &Query::new("POST", path).body(JSON, body)).unwrap()
}

/// Open files of the process: what a client that is gone must not leave behind.
fn open_files(vigie: &Vigie) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", vigie.process.id())).unwrap().count()
}

fn assert_well(vigie: &mut Vigie) {
    assert!(vigie.process.is_running());
    assert!(vigie.scrape().contains("\nnode_load1 "));
    assert_eq!(get(vigie.alerting, "/api/v2/status").unwrap().status, 200);
}

#[test]
fn framing_that_contradicts_itself_is_refused_and_closed() {
    let mut vigie = Vigie::start("");
    for address in [vigie.web, vigie.alerting] {
        for head in [
            "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "GET /-/healthy HTTP/1.1\r\n\r\n",
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "GET /-/healthy HTTP/1.1\r\nHost : x\r\n\r\n",
            "GET\r\n\r\n",
            "\0\u{1}\u{2}\r\n\r\n",
        ] {
            // The client would go on using the connection: reading to its end shows that it cannot.
            let answer = raw(address, head.as_bytes());
            assert_eq!(answer.status, 400, "{head:?}");
        }
    }
    assert_well(&mut vigie);
}

#[test]
fn compression_is_negotiated_not_guessed() {
    let vigie = Vigie::start("");
    for (accepted, expected) in [
        ("gzip", "gzip"),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("gzip;q=0, *;q=0.5", ""),
        ("br", ""),
    ] {
        let query = Query::new("GET", "/metrics").header("Accept-Encoding", accepted);
        let answer = request(vigie.web, &query).unwrap().ok();
        assert_eq!(answer.header("content-encoding"), expected, "{accepted}");
    }
}

#[test]
fn methods_and_paths_that_are_not_served_get_their_status() {
    let vigie = Vigie::start("");
    let status =
        |address, method, path| request(address, &Query::new(method, path)).unwrap().status;
    assert_eq!(status(vigie.web, "GET", "/nowhere"), 404);
    assert_eq!(status(vigie.web, "DELETE", "/metrics"), 405);
    assert_eq!(status(vigie.web, "HEAD", "/metrics"), 200);
    assert_eq!(status(vigie.alerting, "GET", "/api/v2/nowhere"), 404);
    assert_eq!(status(vigie.alerting, "DELETE", "/api/v2/alerts"), 405);
    assert_eq!(status(vigie.web, "GET", "/metrics?collect[]=no-such-collector"), 400);
}

#[test]
fn a_client_that_dawdles_is_closed_and_costs_nobody_anything() {
    let mut vigie = Vigie::start("");
    assert_well(&mut vigie);
    let before = open_files(&vigie);
    let mut clients = Vec::new();
    for address in [vigie.web, vigie.alerting] {
        for sent in [
            "G",
            "GET /metrics HTTP/1.1\r\nHost:",
            "POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[",
        ] {
            for _ in 0..20 {
                let mut client = TcpStream::connect(address).unwrap();
                client.write_all(sent.as_bytes()).unwrap();
                clients.push(client);
            }
        }
    }
    assert_well(&mut vigie);
    wait_for("the closing of every dawdler", 2 * SOON, || {
        let open = open_files(&vigie);
        if open <= before + 4 { Ok(()) } else { Err(format!("{open} files open, {before} before")) }
    });
    assert_well(&mut vigie);
}

#[test]
fn a_client_that_never_reads_is_closed_and_costs_nobody_anything() {
    let mut vigie = Vigie::start("");
    assert_well(&mut vigie);
    let before = open_files(&vigie);
    let asked = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = TcpStream::connect(vigie.web).unwrap();
        client.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        client.write_all(asked.as_bytes()).unwrap();
        clients.push(client);
    }
    assert_well(&mut vigie);
    wait_for("the closing of every deaf client", 2 * SOON, || {
        let open = open_files(&vigie);
        if open <= before + 4 { Ok(()) } else { Err(format!("{open} files open, {before} before")) }
    });
    assert_well(&mut vigie);
}

#[test]
fn clients_that_leave_in_the_middle_are_forgotten() {
    let mut vigie = Vigie::start("");
    for _ in 0..200 {
        let mut client = TcpStream::connect(vigie.web).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut first = [0; 16];
        drop(client.read(&mut first));
    }
    assert_well(&mut vigie);
    let log = vigie.process.output();
    assert!(log.len() < 100_000, "{} bytes of log for 200 lost clients", log.len());
}

#[test]
fn json_that_is_no_alert_is_a_400_that_says_so() {
    let mut vigie = Vigie::start("");
    let deep = "[".repeat(100_000);
    let bad: &[&[u8]] = &[
        b"",
        b"{",
        b"[null]",
        b"[[]]",
        b"[{}]",
        b"[{\"labels\":null}]",
        b"[{\"labels\":{\"a\":null}}]",
        b"[{\"labels\":{\"a\":1}}]",
        b"[{\"labels\":{}}]",
        b"[{\"labels\":{\"a\":\"\xff\"}}]",
        b"[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"yesterday\"}]",
        b"[{\"labels\":{\"a\":\"b\"}},null]",
        deep.as_bytes(),
        &[0, 159, 146, 150],
    ];
    for body in bad {
        let answer = post(&vigie, "/api/v2/alerts", body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert!((400..500).contains(&answer.status), "{shown}: {}", answer.status);
        assert!(!answer.body.is_empty(), "{shown}: an answer that says what is wrong");
    }
    assert_eq!(vigie.alerts(""), [json!(null); 0], "nothing of it was taken");
    assert_well(&mut vigie);
}

#[test]
fn json_that_is_no_silence_is_a_400_that_says_so() {
    let mut vigie = Vigie::start("");
    let silence = |matchers: serde_json::Value| {
        json!({
            "matchers": matchers, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z",
            "createdBy": "me", "comment": "why",
        })
    };
    let regex = |value: &str| json!([{ "name": "a", "value": value, "isRegex": true }]);
    for body in [
        json!(null),
        json!([]),
        json!({}),
        silence(json!([])),
        silence(json!([null])),
        silence(json!(null)),
        silence(regex("(")),
        silence(regex(&".{0,999}".repeat(50))),
        silence(regex(&"x".repeat(1 << 20))),
        silence(json!([{ "name": "a", "value": "", "isRegex": false }])),
    ] {
        let answer = post(&vigie, "/api/v2/silences", body.to_string().as_bytes());
        let shown: String = body.to_string().chars().take(120).collect();
        assert!((400..500).contains(&answer.status), "{shown}: {}", answer.status);
    }
    let silences = get(vigie.alerting, "/api/v2/silences").unwrap().json();
    assert_eq!(silences, json!([]), "nothing of it was taken");
    assert_well(&mut vigie);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() {
    let mut vigie = Vigie::start("");
    let alert = |value: &str| json!([{ "labels": { "a": value } }]).to_string();
    let many: serde_json::Map<String, serde_json::Value> =
        (0..10_000).map(|n| (format!("l{n}"), json!("x"))).collect();
    for body in [
        alert(&"x".repeat(2 << 20)),
        alert(&"x".repeat(64 << 20)),
        json!([{ "labels": many }]).to_string(),
    ] {
        let answer = post(&vigie, "/api/v2/alerts", body.as_bytes());
        assert!((400..500).contains(&answer.status), "{} bytes: {}", body.len(), answer.status);
    }
    let long = "x".repeat(1 << 20);
    for address in [vigie.web, vigie.alerting] {
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n");
        let answer = raw(address, head.as_bytes());
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    for filter in ["a=~\"(\"", "a", "=", "a=~\"(.{0,999}){50}\""] {
        let path =
            format!("/api/v2/alerts?filter={}", filter.replace('"', "%22").replace('{', "%7B"));
        assert_eq!(get(vigie.alerting, &path).unwrap().status, 400, "{filter}");
    }
    assert_well(&mut vigie);
}

#[test]
fn a_body_that_says_gzip_and_is_none_is_refused() {
    let mut vigie = Vigie::start("");
    for body in [&b"\x1f\x8b\x08\0\0\0\0\0"[..], b"garbage"] {
        let query = Query::new("POST", "/api/v2/alerts").body(JSON, body);
        let answer = request(vigie.alerting, &query.header("Content-Encoding", "gzip")).unwrap();
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_well(&mut vigie);
}

#[test]
fn the_page_escapes_everything_and_cannot_be_framed() {
    let vigie = Vigie::start("");
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";
    assert_eq!(vigie.post(&json!({ "alertname": evil, "x": evil })).status, 200);
    let page = wait_for("the alert on the page", SOON, || {
        let page = get(vigie.alerting, "/").unwrap().ok();
        if page.text().contains("alert(1)") { Ok(page) } else { Err(page.text()) }
    });
    let text = page.text();
    assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{text}");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'") && policy.contains("default-src"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{policy}");
}
