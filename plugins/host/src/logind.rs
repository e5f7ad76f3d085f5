//! `logind`: the sessions of the host's users (D-Bus, org.freedesktop.login1(5)).
//!
//! Every combination of seat, type and class has a series, so that a session that ends becomes a zero. It must not
//! know who the users are.

#![cfg(feature = "systemd")]

use std::collections::HashMap;

use futures_util::future::join_all;
use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};
use zbus::{ObjectPath, Variant};

use crate::dbus::{Bus, Caller, Failure, failure};

static SESSIONS: Family<4> = Family::gauge(
    "node_logind_sessions",
    "Sessions by seat (empty for none, as over SSH), whether they are remote, type and class.",
    ["seat", "remote", "type", "class"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("logind", "Sessions of the host's users.")
        .reads("D-Bus org.freedesktop.login1, ROOTFS/run/dbus/system_bus_socket")
        .needs("systemd-logind on the system bus")
        .off_by_default()
        .families(&[SESSIONS.doc()]),
    build: |setting| Ok(Box::new(Logind { bus: Bus::system(SERVICE, &setting.paths)? })),
};

const SERVICE: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PATH: &str = "/org/freedesktop/login1";

const REMOTE: [&str; 2] = ["true", "false"];
/// What is not among them counts as `other`.
const TYPES: [&str; 7] = ["other", "unspecified", "tty", "x11", "wayland", "mir", "web"];
const CLASSES: [&str; 5] = ["other", "user", "greeter", "lock-screen", "background"];

struct Logind {
    bus: Bus,
}

impl Collector for Logind {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let (logins, result) =
            self.bus.talk(scrape, &async |caller, logins: &mut Logins| logins.ask(caller).await);
        logins.emit(sink);
        result
    }
}

/// What logind knows; without seats nothing was answered.
#[derive(Default)]
struct Logins {
    seats: Vec<String>,
    sessions: HashMap<Session, u64>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Session {
    seat: String,
    remote: &'static str,
    kind: &'static str,
    class: &'static str,
}

impl Logins {
    async fn ask(&mut self, caller: &Caller<'_>) -> Result<(), Failure> {
        let body = caller.call(PATH, MANAGER, "ListSessions", &()).await?;
        let listed: Vec<(&str, u32, &str, &str, ObjectPath<'_>)> =
            body.deserialize().map_err(|error| failure("ListSessions", error))?;
        let all = listed.iter().map(|(_, _, _, seat, path)| session(caller, seat, path));
        for session in join_all(all).await {
            match session {
                Ok(session) => *self.sessions.entry(session).or_default() += 1,
                // It ended meanwhile.
                Err(Failure::Refused(_) | Failure::Absent(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let body = caller.call(PATH, MANAGER, "ListSeats", &()).await?;
        let seats: Vec<(&str, ObjectPath<'_>)> =
            body.deserialize().map_err(|error| failure("ListSeats", error))?;
        self.seats = seats.into_iter().map(|(seat, _)| seat.to_owned()).collect();
        self.seats.push(String::new());
        Ok(())
    }

    fn emit(&self, sink: &mut dyn MetricSink) {
        if self.seats.is_empty() {
            return;
        }
        let mut family = SESSIONS.open(sink);
        for seat in &self.seats {
            for remote in REMOTE {
                for kind in TYPES {
                    for class in CLASSES {
                        let session = Session { seat: seat.clone(), remote, kind, class };
                        let number = self.sessions.get(&session).copied().unwrap_or_default();
                        family.emit([seat, remote, kind, class], number);
                    }
                }
            }
        }
    }
}

async fn session(
    caller: &Caller<'_>,
    seat: &str,
    path: &ObjectPath<'_>,
) -> Result<Session, Failure> {
    let body = caller.call(path, "org.freedesktop.DBus.Properties", "GetAll", &(SESSION,)).await?;
    let properties: HashMap<&str, Variant<'_>> =
        body.deserialize().map_err(|error| failure("GetAll", error))?;
    let text = |name: &str| match properties.get(name) {
        Some(Variant::Str(text)) => text.as_str(),
        _ => "",
    };
    let remote = matches!(properties.get("Remote"), Some(Variant::Bool(true)));
    Ok(Session {
        seat: seat.to_owned(),
        remote: if remote { "true" } else { "false" },
        kind: known(text("Type"), &TYPES),
        class: known(text("Class"), &CLASSES),
    })
}

fn known(word: &str, words: &[&'static str]) -> &'static str {
    words.iter().find(|known| **known == word).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, scrape};

    #[test]
    fn every_combination_has_a_series() {
        let ssh = Session { seat: String::new(), remote: "true", kind: "tty", class: "user" };
        let logins =
            Logins { seats: vec!["seat0".into(), String::new()], sessions: [(ssh, 2)].into() };
        let mut sink = Lines::default();
        logins.emit(&mut sink);
        assert_eq!(sink.text.lines().count(), 2 * 2 * 7 * 5);
        let ones: Vec<_> = sink.text.lines().filter(|line| !line.ends_with(" 0")).collect();
        assert_eq!(ones, ["node_logind_sessions{remote=\"true\",type=\"tty\",class=\"user\"} 2"]);
    }

    #[test]
    fn words_of_newer_versions_are_other() {
        assert_eq!(known("x11", &TYPES), "x11");
        assert_eq!(known("hologram", &TYPES), "other");
    }

    #[test]
    fn without_a_bus_there_is_no_data() {
        let mut setting = vigie_core::collect::Setting::default();
        setting.paths.rootfs = Host::new(&[]).path("").into();
        let mut collector = (DEF.build)(&setting).unwrap();
        let (text, result) = scrape(&mut *collector);
        assert_eq!((text.as_str(), result.unwrap_err().kind()), ("", "no_data"));
    }
}
