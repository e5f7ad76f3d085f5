//! Questions to a service on the host's system bus (D-Bus specification, dbus.freedesktop.org).
//!
//! Every question has a time limit, and what does not answer is named. One connection and the small runtime that
//! drives it are kept between scrapes, idle; both go together, so that neither thread nor descriptor is left behind.
//! It must not know what is asked.

#![cfg(feature = "systemd")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::time::timeout_at;
use vigie_core::collect::{BuildError, CollectError, Paths, Scrape};
use zbus::address::transport::{Transport, Unix, UnixSocket};
use zbus::connection::Builder;
use zbus::message::Body;
use zbus::zvariant::DynamicType;
use zbus::{Address, Connection, Error, OwnedVariant, fdo};

use crate::patience::Patience;

/// A service that answers at all answers much faster.
const LIMIT: Duration = Duration::from_secs(2);

/// Where node_exporter's users name another bus.
const ADDRESS_VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// Questions sent before their answers are awaited: a service works them off one by one, and a bus holds a client to
/// a number of open ones.
const WINDOW: usize = 64;

/// One service, reached over a bus or directly.
pub(crate) struct Bus {
    service: &'static str,
    address: Address,
    /// Connected straight to the service, without a bus between.
    direct: bool,
    link: Option<Link>,
    patience: Patience,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not within the time; the text names the question.
    Silent(String),
    /// The connection is gone.
    Lost(String),
    /// There is nobody to answer.
    Absent(String),
    /// The answer is an error, or not what was asked for.
    Refused(String),
}

impl Bus {
    /// `service` on the host's system bus, or on the one that the environment names.
    pub(crate) fn system(service: &'static str, paths: &Paths) -> Result<Self, BuildError> {
        let address = address(std::env::var(ADDRESS_VARIABLE).ok().as_deref(), paths)?;
        Ok(Bus { service, address, direct: false, link: None, patience: Patience::new(LIMIT) })
    }

    /// `service` on a socket of its own.
    pub(crate) fn direct(service: &'static str, path: &Path) -> Self {
        let address = socket(path.to_owned());
        Bus { service, address, direct: true, link: None, patience: Patience::new(LIMIT) }
    }

    /// Has `conversation` ask what it wants and note the answers in a `T`, which holds what was answered in time.
    ///
    /// # Errors
    /// What was not answered and why; no data where the service does not exist.
    pub(crate) fn talk<T: Default>(
        &mut self,
        scrape: &Scrape,
        conversation: &impl AsyncFn(&Caller<'_>, &mut T) -> Result<(), Failure>,
    ) -> (T, Result<(), CollectError>) {
        let mut answers = T::default();
        let until = match self.patience.deadline(scrape) {
            Ok(until) => until,
            Err(error) => return (answers, Err(error)),
        };
        let kept = self.link.is_some();
        let mut result = self.attempt(until, &mut answers, conversation);
        if kept && matches!(result, Err(Failure::Lost(_))) {
            // The bus was restarted since the last scrape.
            answers = T::default();
            result = self.attempt(until, &mut answers, conversation);
        }
        (answers, result.map_err(|failure| self.failed(scrape, failure)))
    }

    /// Keeps the connection unless it is of no use any more.
    fn attempt<T>(
        &mut self,
        until: Instant,
        answers: &mut T,
        conversation: &impl AsyncFn(&Caller<'_>, &mut T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(self, until)?,
        };
        let caller = Caller { connection: &link.connection, service: self.service, until };
        let result = link.runtime.block_on(conversation(&caller, answers));
        if !matches!(result, Err(Failure::Silent(_) | Failure::Lost(_))) {
            self.link = Some(link);
            self.patience.answered();
        }
        result
    }

    fn failed(&mut self, scrape: &Scrape, failure: Failure) -> CollectError {
        match failure {
            Failure::Silent(what) => {
                let limit = self.patience.limit().as_secs_f64();
                let what = format!("{}: no answer to {what} within {limit} s", self.address);
                self.patience.silent(scrape, what)
            }
            Failure::Absent(what) => CollectError::no_data(what),
            Failure::Lost(what) | Failure::Refused(what) => {
                CollectError::Other(format!("{}: {what}", self.address))
            }
        }
    }
}

/// Of the bus that the environment names, if it names one.
fn address(variable: Option<&str>, paths: &Paths) -> Result<Address, BuildError> {
    match variable {
        None | Some("") => Ok(socket(paths.root("run/dbus/system_bus_socket"))),
        Some(given) => Address::try_from(given)
            .map_err(|error| BuildError::new(format!("{ADDRESS_VARIABLE}: {given:?}: {error}"))),
    }
}

fn socket(path: PathBuf) -> Address {
    Address::new(Transport::Unix(Unix::new(UnixSocket::File(path))))
}

/// A connection and what drives it while somebody waits for an answer.
struct Link {
    connection: Connection,
    runtime: Idle,
}

impl Link {
    fn open(bus: &Bus, until: Instant) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = Idle(Some(runtime.map_err(|e| Failure::Refused(e.to_string()))?));
        let mut builder = Builder::address(bus.address.clone());
        if bus.direct {
            builder = builder.p2p();
        }
        let opened = runtime.block_on(async { timeout_at(until.into(), builder.build()).await });
        match opened {
            Ok(Ok(connection)) => Ok(Link { connection, runtime }),
            Ok(Err(error)) => Err(failure("the greeting", error)),
            Err(_) => Err(Failure::Silent("the greeting".to_owned())),
        }
    }
}

/// A runtime that runs only while it is waited for. It may be dropped anywhere, in asynchronous code too.
struct Idle(Option<Runtime>);

impl std::ops::Deref for Idle {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().unwrap_or_else(|| unreachable!("taken only when dropped"))
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Asks the service.
pub(crate) struct Caller<'a> {
    connection: &'a Connection,
    service: &'static str,
    until: Instant,
}

impl Caller<'_> {
    /// Calls a method and returns the body of its answer.
    pub(crate) async fn call(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl serde::Serialize + DynamicType),
    ) -> Result<Body, Failure> {
        let to = Some(self.service);
        let call = self.connection.call_method(to, path, Some(interface), method, arguments);
        let name = || format!("{interface}.{method} of {path}");
        match timeout_at(self.until.into(), call).await {
            Ok(Ok(answer)) => Ok(answer.body()),
            Ok(Err(error)) => Err(failure(&name(), error)),
            Err(_) => Err(Failure::Silent(name())),
        }
    }

    /// Reads a property.
    pub(crate) async fn property(&self, at: &Property<'_>) -> Result<OwnedVariant, Failure> {
        let Property { path, interface, name } = at;
        let what = || format!("{interface}.{name} of {path}");
        let answer = self.call(path, PROPERTIES, "Get", &(interface, name)).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::Silent(_) => Failure::Silent(what()),
            other => other,
        });
        answer?.deserialize().map_err(|error| failure(&what(), error))
    }

    /// Reads many properties and hands each answer to `take` with its index; refusals cost themselves only.
    pub(crate) async fn properties(
        &self,
        wanted: &[Property<'_>],
        mut take: impl FnMut(usize, OwnedVariant),
    ) -> Result<(), Failure> {
        for (window, wanted) in wanted.chunks(WINDOW).enumerate() {
            let answers = join_all(wanted.iter().map(|property| self.property(property))).await;
            let mut result = Ok(());
            for (index, answer) in answers.into_iter().enumerate() {
                match answer {
                    Ok(value) => take(window * WINDOW + index, value),
                    Err(Failure::Refused(_)) => {}
                    Err(failure) => result = result.and(Err(failure)),
                }
            }
            result?;
        }
        Ok(())
    }
}

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Where a property stands.
#[derive(Debug)]
pub(crate) struct Property<'a> {
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) name: &'a str,
}

/// What an error of `zbus` means for whoever asked `what`.
pub(crate) fn failure(what: &str, error: Error) -> Failure {
    let text = format!("{what}: {error}");
    match error {
        Error::Connection(io, address) if io.kind() == std::io::ErrorKind::NotFound => {
            Failure::Absent(format!("nothing listens at {address}"))
        }
        Error::InputOutput(_) | Error::Connection(..) => Failure::Lost(text),
        Error::FDO(error) => match *error {
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => Failure::Absent(text),
            fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) => Failure::Silent(what.to_owned()),
            // The service left the bus while it was asked.
            fdo::Error::NoReply(_) => Failure::Lost(text),
            _ => Failure::Refused(text),
        },
        _ => Failure::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_name_the_bus() {
        let paths = Paths { rootfs: "/host".into(), ..Paths::default() };
        let shown = |variable| address(variable, &paths).map(|address| address.to_string());
        for nothing in [None, Some("")] {
            assert_eq!(shown(nothing).unwrap(), "unix:path=/host/run/dbus/system_bus_socket");
        }
        assert_eq!(shown(Some("unix:path=/bus")).unwrap(), "unix:path=/bus");
        let error = shown(Some("bus")).unwrap_err().to_string();
        assert!(error.starts_with("DBUS_SYSTEM_BUS_ADDRESS: \"bus\": "), "{error}");
    }
}
