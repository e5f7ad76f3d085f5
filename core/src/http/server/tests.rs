//! The server against raw TCP clients that behave as no library would.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::{Listener, Method, Request, Response, Route, Routes, StatusCode};
use super::{Limits, Server};

/// Long enough for any loaded machine; no test waits for it unless it fails.
const DEADLINE: Duration = Duration::from_secs(20);
const BIG: usize = 32 << 20;

struct Running {
    address: SocketAddr,
    routes: Routes,
    metrics: prometheus::Registry,
    wait: Arc<Wait>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(limits: Limits) -> Self {
        let server = Server::bind(&["127.0.0.1:0".into()]).unwrap().limits(limits);
        let address = server.local_addresses()[0];
        let wait = Arc::<Wait>::default();
        let routes = Routes::new(routes(&wait));
        let metrics = server.metrics();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(server.serve(routes.clone(), stopped));
        Running { address, routes, metrics, wait, stop: Some(stop), task }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes and reads until the server closes.
    async fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.rest().await
    }

    /// An honest client is answered.
    async fn check(&self) {
        let answer = self.talk("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.ends_with("hello"), "{answer:?}");
    }
}

/// What `/wait` waits for.
#[derive(Default)]
struct Wait {
    under_way: AtomicUsize,
    release: Notify,
}

impl Wait {
    /// Resolves when so many requests are under way.
    async fn until(&self, count: usize) {
        let reached = async {
            while self.under_way.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, reached).await.expect("requests are under way");
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    }

    /// Reads until `end` has come.
    async fn until(&mut self, end: &str) -> String {
        let mut seen = String::new();
        while !seen.ends_with(end) {
            let mut byte = [0];
            let read = timeout(DEADLINE, self.0.read(&mut byte)).await.expect(end).unwrap();
            assert!(read == 1, "closed after {seen:?}, without {end:?}");
            seen.push(char::from(byte[0]));
        }
        seen
    }

    /// Reads until the server closes, which it must.
    async fn rest(&mut self) -> String {
        let mut seen = Vec::new();
        let closed = timeout(DEADLINE, self.0.read_to_end(&mut seen)).await;
        // A reset ends a connection as well as an orderly end does.
        drop(closed.expect("the server closes"));
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Sends a byte now and then until the server has closed, and reads nothing.
    async fn until_refused(&mut self, every: Duration) {
        let refused = async {
            while self.0.write_all(b"x").await.is_ok() {
                tokio::time::sleep(every).await;
            }
        };
        timeout(DEADLINE, refused).await.expect("the server closes");
    }
}

fn routes(wait: &Arc<Wait>) -> Vec<Route> {
    let get = |path: &str, handler: fn(Request) -> Response| {
        Route::new(Listener::Telemetry, Method::GET, path, move |request| async move {
            handler(request)
        })
    };
    let wait = Arc::clone(wait);
    vec![
        get("/hello", |_| Response::text(StatusCode::OK, "hello")),
        get("/who/{name}", |request| Response::text(StatusCode::OK, request.captures.join("+"))),
        get("/big", |_| Response::new(StatusCode::OK).with_body("text/plain", vec![b'x'; BIG])),
        get("/panic", |_| panic!("on purpose")),
        get("/empty", |_| Response::new(StatusCode::NO_CONTENT)),
        Route::new(Listener::Telemetry, Method::GET, "/hang", |_| pending::<Response>()),
        Route::new(Listener::Telemetry, Method::GET, "/wait", move |_| {
            let wait = Arc::clone(&wait);
            async move {
                wait.under_way.fetch_add(1, Ordering::SeqCst);
                wait.release.notified().await;
                Response::text(StatusCode::OK, "waited")
            }
        }),
        Route::new(Listener::Telemetry, Method::POST, "/echo", |request: Request| async move {
            Response::new(StatusCode::OK).with_body("text/plain", request.body)
        })
        .body_limit(1000),
    ]
}

/// Limits that no test reaches unless it shortens one.
fn patient() -> Limits {
    let long = Duration::from_secs(600);
    Limits {
        head: long,
        idle: long,
        body: long,
        handler: long,
        write_stall: long,
        ..Limits::default()
    }
}

const SHORT: Duration = Duration::from_millis(100);

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[tokio::test]
async fn paths_and_methods_are_answered() {
    let server = Running::start(patient());
    let mut client = server.connect().await;
    client.get("/hello").await;
    let answer = client.until("hello").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("x-content-type-options: nosniff") && answer.contains("date: "));

    client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = client.until("\r\n\r\n").await;
    assert!(answer.contains("content-length: 5"), "{answer}");

    client.send("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = client.until("GET, HEAD\n").await;
    assert!(status(&answer) == "405" && answer.contains("allow: GET, HEAD\r\n"), "{answer}");

    client.get("/nothing").await;
    assert_eq!(status(&client.until("not found\n").await), "404");
    client.get("/empty").await;
    assert_eq!(status(&client.until("\r\n\r\n").await), "204");
    client.get("http://x/who/J%C3%B6rg?a=b").await;
    assert_eq!(status(&client.until(": 5\r\n").await), "200");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(patient());
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let post = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    let last = "GET /who/z HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer =
        server.talk([get("/who/a"), get("/nothing"), post.into(), last.into()].concat()).await;
    let order = ["\r\n\r\na", "404", "\r\n\r\nhi", "\r\n\r\nz"].map(|part| answer.find(part));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{answer}");
}

#[tokio::test]
async fn framing_that_contradicts_itself_is_refused_and_closed() {
    let server = Running::start(patient());
    for headers in [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding : chunked",
        "Content-Length: -3",
        "Content-Length: 3, 3",
        "Content-Length: 99999999999999999999",
        "Host: y",
        "X: a\r\n folded: b",
        "X\0: a",
    ] {
        let body = "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}");
        let answer = server.talk(request).await;
        assert_eq!(status(&answer), "400", "{headers:?} {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers:?} {answer:?}");
    }
    assert_eq!(status(&server.talk("GET /hello HTTP/1.1\r\n\r\n").await), "400");
    assert_eq!(status(&server.talk("GET /hello HTTP/1.0\r\n\r\n").await), "200");
    assert_eq!(
        status(&server.talk("GET /hello HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n").await),
        "400"
    );
    server.check().await;
}

#[tokio::test]
async fn heads_have_limits() {
    let server = Running::start(patient());
    let many = "X: y\r\n".repeat(200);
    let large = format!("X: {}\r\n", "y".repeat(40 << 10));
    for headers in [many, large] {
        let answer = server.talk(format!("GET /hello HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        assert_eq!(status(&answer), "431");
    }
    let endless = server.talk("x".repeat(200 << 10)).await;
    assert!(matches!(status(&endless), "400" | "414" | "431"), "{endless}");
    server.check().await;
}

#[tokio::test]
async fn bodies_have_limits() {
    let server = Running::start(patient());
    let post = |headers: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}")
    };
    let full = "y".repeat(1000);
    let mut client = server.connect().await;
    client.send(post("Content-Length: 1000", &full)).await;
    assert_eq!(status(&client.until(&full).await), "200");

    let announced = server.talk(post("Expect: 100-continue\r\nContent-Length: 1001", "")).await;
    assert_eq!(status(&announced), "413");
    let chunks = "64\r\n".to_owned() + &"y".repeat(100) + "\r\n";
    let chunked = server.talk(post("Transfer-Encoding: chunked", &chunks.repeat(11))).await;
    assert_eq!(status(&chunked), "413");
    let unread = server.talk(post("Content-Length: 3000000", &"y".repeat(3_000_000))).await;
    assert_eq!(status(&unread), "413", "the refusal arrives though the body was never read");
    let broken = server.talk(post("Transfer-Encoding: chunked", "zz\r\n")).await;
    assert_eq!(status(&broken), "400");
    let bodiless = "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny";
    assert_eq!(status(&server.talk(bodiless).await), "413");
}

#[tokio::test]
async fn bodies_have_a_limit_together() {
    let server = Running::start(Limits { bodies: 1500, ..patient() });
    let post = |body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{body}")
    };
    let closing = |body: &str| post(body).replace("Host: x", "Host: x\r\nConnection: close");
    let (most, whole) = ("y".repeat(900), "y".repeat(1000));
    let mut slow = server.connect().await;
    slow.send(post(&most)).await;
    let refused = async {
        while status(&server.talk(closing(&whole)).await) != "503" {
            // The slow one was not read yet.
        }
    };
    timeout(DEADLINE, refused).await.expect("there is no room for a second one");
    slow.send("y".repeat(100)).await;
    assert_eq!(status(&slow.until(&whole).await), "200");
    let mut next = server.connect().await;
    next.send(post(&whole)).await;
    assert_eq!(status(&next.until(&whole).await), "200");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = Running::start(Limits { head: SHORT, ..patient() });
    assert_eq!(server.connect().await.rest().await, "");
    assert_eq!(server.talk("GET /hello HT").await, "");
    let mut trickling = server.connect().await;
    trickling.send("GET /hello HTTP/1.1\r\nX: ").await;
    trickling.until_refused(SHORT / 10).await;
    server.check().await;
}

#[tokio::test]
async fn idle_connections_end_and_slow_bodies_are_told() {
    let server = Running::start(Limits { idle: SHORT, body: SHORT, ..patient() });
    let mut client = server.connect().await;
    client.get("/hello").await;
    client.until("hello").await;
    assert_eq!(client.rest().await, "");
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab";
    assert_eq!(status(&server.talk(head).await), "408");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = Running::start(Limits { write_stall: SHORT, ..patient() });
    let mut client = server.connect().await;
    client.get("/big").await;
    client.until_refused(SHORT).await;
    let mut pipelining = server.connect().await;
    pipelining.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)).await;
    pipelining.until_refused(SHORT).await;
    server.check().await;
}

#[tokio::test]
async fn a_client_that_reads_by_the_byte_is_closed() {
    let server = Running::start(Limits { write_stall: SHORT, write_rate: 1 << 30, ..patient() });
    let mut client = server.connect().await;
    client.get("/big").await;
    let slowly = async {
        let mut some = [0; 1 << 12];
        let mut seen = 0;
        loop {
            match client.0.read(&mut some).await {
                Ok(0) | Err(_) => return seen,
                Ok(read) => seen += read,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let seen = timeout(DEADLINE, slowly).await.expect("the server closes");
    assert!(seen < BIG, "{seen}");
}

#[tokio::test]
async fn a_flood_of_stalled_clients_costs_nobody_else_anything() {
    let server = Running::start(Limits { connections: 8, ..patient() });
    let mut stalled = Vec::new();
    for (at, request) in
        ["", "GET /hel", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"]
            .into_iter()
            .cycle()
            .take(60)
            .enumerate()
    {
        let mut client = server.connect().await;
        client.send(request).await;
        if at % 10 == 0 {
            client.get("/big").await;
        }
        stalled.push(client);
        server.check().await;
    }
}

#[tokio::test]
async fn who_finds_all_at_work_waits_for_his_turn() {
    let server = Running::start(Limits { connections: 2, ..patient() });
    let mut working = Vec::new();
    for count in 1..=3 {
        let mut client = server.connect().await;
        client.get("/wait").await;
        server.wait.until(count).await;
        working.push(client);
    }
    let check = server.check();
    let release = async {
        for client in &mut working {
            server.wait.release.notify_one();
            client.until("waited").await;
        }
    };
    tokio::join!(check, release);
}

#[tokio::test]
async fn a_handler_may_panic_or_hang() {
    let server = Running::start(Limits { handler: SHORT, ..patient() });
    let mut client = server.connect().await;
    client.get("/panic").await;
    assert_eq!(status(&client.until("internal error\n").await), "500");
    client.get("/hang").await;
    assert_eq!(status(&client.until("within 0.1 s\n").await), "503");
    client.get("/hello").await;
    assert_eq!(status(&client.until("hello").await), "200");
}

#[tokio::test]
async fn who_has_said_all_is_still_answered() {
    let server = Running::start(patient());
    let mut client = server.connect().await;
    client.get("/wait").await;
    client.0.shutdown().await.unwrap();
    server.wait.release.notify_one();
    assert!(client.rest().await.ends_with("waited"));
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way() {
    let mut server = Running::start(patient());
    let mut idle = server.connect().await;
    idle.get("/hello").await;
    idle.until("hello").await;
    let mut silent = server.connect().await;
    silent.send("GET /hello HTTP/1.1\r\nHo").await;
    let mut busy = server.connect().await;
    busy.get("/wait").await;
    server.wait.until(1).await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!((idle.rest().await, silent.rest().await), (String::new(), String::new()));
    server.wait.release.notify_one();
    let answer = busy.rest().await;
    assert!(answer.ends_with("waited") && answer.contains("connection: close"), "{answer}");
    timeout(DEADLINE, server.task).await.expect("the server ends").unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut server = Running::start(Limits { drain: SHORT, ..patient() });
    let mut client = server.connect().await;
    client.get("/hang").await;
    server.check().await;
    server.stop.take().unwrap().send(()).unwrap();
    timeout(DEADLINE, server.task).await.expect("the server ends").unwrap().unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn routes_are_replaced_under_a_connection() {
    let server = Running::start(patient());
    let mut client = server.connect().await;
    client.get("/hello").await;
    client.until("hello").await;
    server.routes.replace(Vec::new());
    client.get("/hello").await;
    assert_eq!(status(&client.until("not found\n").await), "404");
}

/// Random bytes, and random pieces of requests, which come further.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "GET /hello HTTP/1.1\r\n",
        "POST /echo HTTP/1.1\r\n",
        "HEAD * HTTP/1.0\r\n",
        "Host: x\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n",
        "\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\n",
        "Upgrade: h2c\r\nConnection: upgrade\r\n",
        "GET /%zz?%%% HTTP/1.1\r\n",
        "abc",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_bytes_harm_the_server() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let server = runtime
        .block_on(async { Running::start(Limits { head: SHORT, body: SHORT, ..patient() }) });
    proptest!(ProptestConfig::with_cases(150), |(bytes in noise())| {
        runtime.block_on(async {
            let mut client = server.connect().await;
            client.send(&bytes).await;
            client.0.shutdown().await.ok();
            let answer = client.rest().await;
            prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{}", answer);
            Ok(())
        })?;
    });
    runtime.block_on(server.check());
}

#[tokio::test]
async fn counters_tell_of_answers_and_of_closed_connections() {
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let server = Running::start(limits);
    server.check().await;
    server.talk("this is not HTTP\r\n\r\n").await;
    server.talk("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    server.talk("GET /never HTTP/1.1\r\nHo").await;
    let mut sink = crate::encode::TextSink::default();
    crate::bridge::write_families(&server.metrics.gather(), &mut sink);
    let page = String::from_utf8(sink.to_exposition()).unwrap();
    for line in [
        "vigie_http_requests_total{code=\"200\",server=\"http\"} 1\n",
        "vigie_http_requests_total{code=\"404\",server=\"http\"} 1\n",
        "vigie_http_connections_closed_total{reason=\"not_http\",server=\"http\"} 1\n",
        "{reason=\"slow_head\",server=\"http\"} 1\n",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}
