//! logind as its manual org.freedesktop.login1(5) describes it, with few sessions.

use std::collections::HashMap;

use vigie_host::logind::DEF;
use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use crate::bus::{Bus, Call, Running, Service};
use crate::original;
use crate::subject::Subject;

struct Logind;

/// Name, seat, remote, type, class.
const SESSIONS: [(&str, &str, bool, &str, &str); 5] = [
    ("1", "seat0", false, "wayland", "user"),
    ("c1", "seat0", false, "x11", "greeter"),
    ("2", "", true, "tty", "user"),
    ("3", "", true, "tty", "user"),
    ("4", "", false, "hologram", "manager"),
];

fn path(kind: &str, name: &str) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("/org/freedesktop/login1/{kind}/_{name}")).unwrap()
}

impl Service for Logind {
    const NAME: &'static str = "org.freedesktop.login1";

    fn answer(&self, call: &Call<'_>) -> Option<Message> {
        match &*call.member {
            "ListSeats" => call.reply(&vec![("seat0", path("seat", "0"))]),
            "ListSessions" => {
                let mut sessions: Vec<_> = SESSIONS
                    .iter()
                    .map(|(name, seat, ..)| (*name, 1000u32, "ann", *seat, path("session", name)))
                    .collect();
                // It ends before it can be asked.
                sessions.push(("9", 1000, "ann", "seat0", path("session", "9")));
                call.reply(&sessions)
            }
            "Get" => call.reply(properties(&call.path)?.get(&*call.property.1)?),
            "GetAll" => call.reply(&properties(&call.path)?),
            _ => None,
        }
    }
}

fn properties(object: &str) -> Option<HashMap<&'static str, Variant<'static>>> {
    let (_, _, remote, kind, class) =
        SESSIONS.iter().find(|(name, ..)| path("session", name).as_str() == object)?;
    let properties = [
        ("Remote", (*remote).into()),
        ("Type", (*kind).into()),
        ("Class", (*class).into()),
        ("TTY", "pts/0".into()),
    ];
    Some(properties.into())
}

#[test]
fn every_series_of_the_original_is_there() {
    let bus = Bus::start();
    let _logind = Running::on(&bus, Logind);
    let address = bus.address();
    let original = original::scrape("logind", &[], &[("DBUS_SYSTEM_BUS_ADDRESS", &address)]);
    let ours = Subject::new(&DEF, bus.root(), &[]).table();
    assert_eq!(ours, original);
    assert_eq!(ours["node_logind_sessions{class=user,remote=true,type=tty}"], 2.0);
}

#[test]
fn what_hangs_is_named_and_asked_again_later() {
    let bus = Bus::start();
    let logind = Running::on(&bus, Logind);
    let mut subject = Subject::new(&DEF, bus.root(), &[]);
    logind.hang("ListSessions");
    let (shown, error) = subject.failure();
    assert!(shown.is_empty());
    assert!(
        error.contains("no answer to org.freedesktop.login1.Manager.ListSessions of"),
        "{error}"
    );
    logind.recover();
    subject.wait(21);
    assert_eq!(subject.table().len(), 2 * 2 * 7 * 5);
}

#[test]
fn without_logind_there_is_no_data() {
    let bus = Bus::start();
    let result = Subject::new(&DEF, bus.root(), &[]).scrape().1;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), "no_data");
    assert!(error.to_string().contains("org.freedesktop.login1"), "{error}");
}
