//! A private bus, and services on it that answer what a test gives them, or do not.

use std::collections::HashSet;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use common::{Proc, program};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::sync::oneshot;
use zbus::connection::Builder;
use zbus::message::{Message, Type};
use zbus::{Connection, Guid, MessageStream};

/// A host with a bus of its own, which everybody may use.
pub(crate) struct Bus {
    root: TempDir,
    daemon: Proc,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/dbus")).unwrap();
        let daemon = start_daemon(root.path());
        Bus { root, daemon }
    }

    /// The root of the host.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn address(&self) -> String {
        address(self.root())
    }

    /// Ends the daemon and starts another one.
    pub(crate) fn restart(&mut self) {
        self.daemon.kill();
        std::fs::remove_file(self.root().join(SOCKET)).unwrap();
        self.daemon = start_daemon(self.root());
    }
}

const SOCKET: &str = "run/dbus/system_bus_socket";

fn address(root: &Path) -> String {
    format!("unix:path={}", root.join(SOCKET).display())
}

fn start_daemon(root: &Path) -> Proc {
    let configuration = root.join("bus.conf");
    let text = format!(
        "<busconfig><listen>{}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
         <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>",
        address(root)
    );
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(program("dbus-daemon"));
    command.arg(format!("--config-file={}", configuration.display()));
    command.args(["--nofork", "--print-address=1"]);
    let mut daemon = Proc::start("dbus-daemon", &mut command);
    daemon.line("its address", |line| line.starts_with("unix:").then_some(()));
    daemon
}

/// What a service says.
pub(crate) trait Service: Send + 'static {
    const NAME: &'static str;

    /// The answer to a call; without one it is an error.
    fn answer(&self, call: &Call<'_>) -> Option<Message>;
}

/// A call that came in.
pub(crate) struct Call<'m> {
    message: &'m Message,
    pub(crate) path: String,
    pub(crate) member: String,
    /// Interface and name of the property that is asked for, or the interface of all.
    pub(crate) property: (String, String),
}

impl<'m> Call<'m> {
    fn new(message: &'m Message) -> Self {
        let header = message.header();
        let text = |part: Option<String>| part.unwrap_or_default();
        let body = message.body();
        let property = body
            .deserialize()
            .or_else(|_| Ok::<_, ()>((body.deserialize().unwrap_or_default(), String::new())));
        Call {
            message,
            path: text(header.path().map(ToString::to_string)),
            member: text(header.member().map(ToString::to_string)),
            property: property.unwrap(),
        }
    }

    /// An answer with this body.
    pub(crate) fn reply(
        &self,
        body: &(impl serde::Serialize + zbus::zvariant::DynamicType),
    ) -> Option<Message> {
        Some(Message::method_return(&self.message.header()).build(body).unwrap())
    }
}

/// A running service; it leaves with its guard.
pub(crate) struct Running {
    silent: Arc<Mutex<HashSet<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// `service` on a bus.
    pub(crate) fn on(bus: &Bus, service: impl Service) -> Self {
        Running::start(Place::Bus(bus.address()), service)
    }

    /// `service` on a socket of its own, for one client.
    pub(crate) fn at(socket: &Path, service: impl Service) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        Running::start(Place::Socket(socket.to_owned()), service)
    }

    fn start<S: Service>(place: Place, service: S) -> Self {
        let silent: Arc<Mutex<HashSet<String>>> = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let muted = silent.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let connection = place.open(&ready).await;
                let mut calls = MessageStream::from(&connection).take_until(stopped);
                if connection.is_bus() {
                    connection.request_name(S::NAME).await.unwrap();
                    ready.send(()).unwrap();
                }
                while let Some(Ok(message)) = calls.next().await {
                    if message.message_type() == Type::MethodCall {
                        answer(&connection, &service, &message, &muted).await;
                    }
                }
            });
        });
        is_ready.recv_timeout(common::SOON).expect("the service is on the bus");
        Running { silent, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on there is no answer to this method, or for this property.
    pub(crate) fn hang(&self, name: &str) {
        self.silent.lock().unwrap().insert(name.to_owned());
    }

    pub(crate) fn recover(&self) {
        self.silent.lock().unwrap().clear();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

enum Place {
    Bus(String),
    Socket(PathBuf),
}

impl Place {
    async fn open(&self, ready: &mpsc::Sender<()>) -> Connection {
        match self {
            Place::Bus(address) => Builder::address(&**address).build().await.unwrap(),
            Place::Socket(path) => {
                let listener = UnixListener::bind(path).unwrap();
                ready.send(()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                let builder = Builder::unix_stream(stream).server(Guid::generate()).p2p();
                builder.build().await.unwrap()
            }
        }
    }
}

async fn answer(
    connection: &Connection,
    service: &impl Service,
    message: &Message,
    silent: &Mutex<HashSet<String>>,
) {
    let call = Call::new(message);
    let is_silent = {
        let silent = silent.lock().unwrap();
        silent.contains(&call.member) || silent.contains(&call.property.1)
    };
    if is_silent {
        return;
    }
    let header = message.header();
    let sent = match service.answer(&call) {
        Some(answer) => connection.send(&answer).await,
        None => {
            let error = "org.freedesktop.DBus.Error.UnknownProperty";
            connection.reply_error(&header, error, &"no such thing").await
        }
    };
    // Who asked may be gone.
    drop(sent);
}
