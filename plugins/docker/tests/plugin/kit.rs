//! A daemon made of canned answers, and the plugin run as the program runs it.
//!
//! The daemon speaks just enough HTTP for the client; what it answers is up to the test. It must
//! not know what the plugin makes of its answers.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::clock::SystemClock;
use vigie_core::collect::{CollectError, Collector, PATH_FLAGS, Scrape};
use vigie_core::config::{Flags, parse_yaml};
use vigie_core::encode::{Format, TextSink};
use vigie_core::plugin::{BoxError, ServiceContext, Setup};

/// The container of the recorded trees.
pub(crate) const WEB: &str = "4af0c3d19be26f7d8e5a1b0c2d3e4f5061728394a5b6c7d8e9f00112233445aa";

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A daemon on a socket of its own.
pub(crate) struct Daemon {
    dir: TempDir,
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    /// Bodies of inspections by id.
    containers: BTreeMap<String, String>,
    /// Bodies that stand in for the right ones, by path.
    instead: HashMap<String, String>,
    /// How often each path was asked for.
    asked: HashMap<String, usize>,
    listening: Vec<UnixStream>,
    closed: bool,
}

impl Daemon {
    pub(crate) fn start() -> Daemon {
        let daemon = Daemon { dir: tempfile::tempdir().unwrap(), world: Arc::default() };
        daemon.listen();
        daemon
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Adds or changes a container; `state` is its `State` in JSON.
    pub(crate) fn put(&self, id: &str, name: &str, state: &str) {
        let body = format!(
            r#"{{"Id": "{id}", "Name": "/{name}", "RestartCount": 1, "State": {state},
                "Config": {{"Image": "lab/busybox:1", "Labels": {{"com.docker.compose.service": "{name}",
                            "org.example": "left out"}}}}, "HostConfig": {{"NetworkMode": "default"}}}}"#
        );
        self.world.lock().unwrap().containers.insert(id.to_owned(), body);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.world.lock().unwrap().containers.remove(id);
    }

    /// Answers `path` with this body from now on.
    pub(crate) fn answer(&self, path: &str, body: &str) {
        self.world.lock().unwrap().instead.insert(path.to_owned(), body.to_owned());
    }

    pub(crate) fn asked(&self, path: &str) -> usize {
        self.world.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// Tells those who listen what happened to a container.
    pub(crate) fn event(&self, id: &str, action: &str) {
        let line =
            format!(r#"{{"Type": "container", "Action": "{action}", "Actor": {{"ID": "{id}"}}}}"#);
        self.say(&format!("{line}\n"));
    }

    /// Writes into the stream of events as it is.
    pub(crate) fn say(&self, text: &str) {
        wait_for("somebody to listen", || {
            (!self.world.lock().unwrap().listening.is_empty()).then_some(())
        });
        for stream in &mut self.world.lock().unwrap().listening {
            stream.write_all(text.as_bytes()).unwrap();
        }
    }

    /// Takes the socket away and ends every connection.
    pub(crate) fn stop(&self) {
        std::fs::remove_file(self.socket()).unwrap();
        let mut world = self.world.lock().unwrap();
        world.closed = true;
        for stream in world.listening.drain(..) {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Writes into the stream of events for the last time, and leaves it open.
    pub(crate) fn last_words(&self, text: &str) -> Vec<UnixStream> {
        self.say(text);
        std::mem::take(&mut self.world.lock().unwrap().listening)
    }

    pub(crate) fn listen(&self) {
        self.world.lock().unwrap().closed = false;
        let listener = UnixListener::bind(self.socket()).unwrap();
        let world = Arc::clone(&self.world);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = Arc::clone(&world);
                std::thread::spawn(move || serve(stream, &world));
            }
        });
    }
}

fn serve(mut stream: UnixStream, world: &Mutex<World>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split([' ', '?']).nth(1).unwrap().to_owned();
    let mut world = world.lock().unwrap();
    if world.closed {
        return;
    }
    *world.asked.entry(path.clone()).or_default() += 1;
    if path == "/events" {
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        world.listening.push(stream);
        return;
    }
    let (status, body) = match world.instead.get(&path) {
        Some(body) => ("200 OK", body.clone()),
        None => world.body(&path),
    };
    drop(world);
    let length = body.len();
    // A client that has gone is no failure of the test.
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ));
}

impl World {
    fn body(&self, path: &str) -> (&'static str, String) {
        let found = |body: &str| ("200 OK", body.to_owned());
        match path {
            "/version" => found(r#"{"ApiVersion": "1.43"}"#),
            "/info" => found(r#"{"Name": "n1", "Swarm": {"NodeID": "node1"}}"#),
            "/containers/json" => {
                let all = self
                    .containers
                    .keys()
                    .map(|id| format!(r#"{{"Id": "{id}", "Names": ["/listed"]}}"#));
                ("200 OK", format!("[{}]", all.collect::<Vec<_>>().join(",")))
            }
            path => {
                let id =
                    path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/json"));
                match id.and_then(|id| self.containers.get(id)) {
                    Some(body) => found(body),
                    None => ("404 Not Found", r#"{"message": "no such container"}"#.to_owned()),
                }
            }
        }
    }
}

/// The plugin's collectors with its services beside them.
pub(crate) struct Running {
    pub(crate) notes: Vec<String>,
    collectors: Vec<(&'static str, Box<dyn Collector>)>,
    services: Vec<JoinHandle<Result<(), BoxError>>>,
    stop: watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    /// Runs with a recorded tree, or with an empty one, once the first snapshots are there.
    pub(crate) fn start(socket: &Path, tree: &Path) -> Running {
        let mut flags = Flags::new(vigie_docker::PLUGIN.flags.iter().chain(PATH_FLAGS));
        let mut set = |name: &str, value: String| flags.set(name, vec![value]);
        set("docker.socket", format!("unix://{}", socket.display()));
        set("docker.metrics-address", String::new());
        set("path.procfs", tree.join("proc").display().to_string());
        set("path.sysfs", tree.join("sys").display().to_string());
        set("path.rootfs", tree.display().to_string());
        let config = parse_yaml("vigie.yml", "").unwrap();
        let setup = Setup::new(&config, Arc::new(flags), Arc::new(Nobody));
        let parts = (vigie_docker::PLUGIN.build)(&setup).unwrap();

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (stop, stopped) = watch::channel(false);
        let ready = Arc::new(Semaphore::new(0));
        let count = u32::try_from(parts.services.len()).unwrap();
        let start = |service: Box<dyn vigie_core::plugin::Service>| {
            let context =
                ServiceContext::new(Arc::new(SystemClock), stopped.clone(), Arc::clone(&ready));
            runtime.spawn(service.run(context))
        };
        let services = parts.services.into_iter().map(start).collect();
        runtime.block_on(async {
            let all = tokio::time::timeout(SOON, ready.acquire_many(count)).await;
            all.expect("every service is ready").unwrap().forget();
        });
        let collectors = parts
            .collectors
            .iter()
            .map(|bound| (bound.info.name, (bound.build)().unwrap()))
            .collect();
        Running { notes: parts.notes, collectors, services, stop, runtime }
    }

    /// One collector's exposition and outcome, at a fixed time.
    pub(crate) fn collect(&mut self, name: &str) -> (String, Result<(), CollectError>) {
        let (_, collector) = self.collectors.iter_mut().find(|(known, _)| *known == name).unwrap();
        let mut sink = TextSink::new(Format::default());
        let scrape =
            Scrape::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000), Instant::now() + SOON);
        let outcome = collector.collect(&scrape, &mut sink);
        (String::from_utf8(sink.to_exposition()).unwrap(), outcome)
    }

    /// Collects until the exposition holds `line`.
    pub(crate) fn wait_for_line(&mut self, name: &str, line: &str) -> String {
        let mut last = String::new();
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            last = self.collect(name).0;
            if last.lines().any(|found| found == line) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("waited for {line}; the last look showed\n{last}");
    }

    /// Tells the services to stop, and waits for their end.
    pub(crate) fn stop(self) {
        self.stop.send(true).unwrap();
        for service in self.services {
            let ended = self.runtime.block_on(async { tokio::time::timeout(SOON, service).await });
            ended.expect("a service stops when it is told").unwrap().unwrap();
        }
    }
}

pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match probe() {
            Some(value) => return value,
            None => assert!(Instant::now() < deadline, "waited for {what}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Nobody;

impl AlertSink for Nobody {
    fn post<'a>(&'a self, _: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { Ok(()) })
    }
}
