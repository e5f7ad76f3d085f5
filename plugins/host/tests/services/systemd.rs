//! systemd as its manual org.freedesktop.systemd1(5) describes it, with few units.

use std::os::unix::net::UnixListener;

use vigie_host::systemd::DEF;
use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use crate::bus::{Bus, Call, Running, Service};
use crate::original;
use crate::subject::Subject;

struct Systemd;

/// Name, load state, active state.
const UNITS: [(&str, &str, &str); 10] = [
    ("ssh.service", "loaded", "active"),
    ("backup@a\\x2db.service", "loaded", "failed"),
    ("gone.service", "not-found", "inactive"),
    ("old.service", "loaded", "inactive"),
    ("daily.timer", "loaded", "active"),
    ("never.timer", "loaded", "active"),
    ("docker.socket", "loaded", "active"),
    ("multi-user.target", "loaded", "active"),
    ("data.mount", "loaded", "active"),
    ("net.service", "loaded", "reloading"),
];

/// The path of a unit's object: what is no letter or digit is written in hexadecimal.
fn path_of(unit: &str) -> String {
    let escaped = unit.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("_{byte:02x}"),
    });
    format!("/org/freedesktop/systemd1/unit/{}", escaped.collect::<String>())
}

impl Service for Systemd {
    const NAME: &'static str = "org.freedesktop.systemd1";

    fn answer(&self, call: &Call<'_>) -> Option<Message> {
        match &*call.member {
            "ListUnits" => {
                let root = || ObjectPath::try_from("/").unwrap();
                let path = |unit| ObjectPath::try_from(path_of(unit)).unwrap();
                let row = |&(name, load, active)| {
                    (name, "what it is", load, active, "sub", "", path(name), 0u32, "", root())
                };
                call.reply(&UNITS.iter().map(row).collect::<Vec<_>>())
            }
            "Get" => {
                let (interface, name) = &call.property;
                let interface = interface.strip_prefix("org.freedesktop.systemd1.")?;
                call.reply(&property(&call.path, interface, name)?)
            }
            _ => None,
        }
    }
}

fn property(path: &str, interface: &str, name: &str) -> Option<Variant<'static>> {
    let is = |unit: &str| path == path_of(unit);
    Some(match (interface, name) {
        ("Manager", "Version") => "252.22-1~deb12u1".into(),
        ("Manager", "Virtualization") => "".into(),
        ("Manager", "SystemState") => "degraded".into(),
        // As an old version answers, which does not know it.
        (_, "NRefused") => return None,
        ("Service", "Type") => if is("ssh.service") { "notify" } else { "simple" }.into(),
        ("Mount", "Type") => "ext4".into(),
        ("Service", "NRestarts") => 3u32.into(),
        ("Service", "TasksCurrent") => if is("ssh.service") { 7u64 } else { u64::MAX }.into(),
        ("Service", "TasksMax") => 4915u64.into(),
        ("Unit", "ActiveEnterTimestamp") => 1_700_000_000_250_000u64.into(),
        ("Timer", "LastTriggerUSec") => {
            if is("never.timer") { 0u64 } else { 1_700_000_100_000_000 }.into()
        }
        ("Socket", "NAccepted") => 12u32.into(),
        ("Socket", "NConnections") => 2u32.into(),
        _ => return None,
    })
}

const SWITCHES: [&str; 3] =
    ["enable-task-metrics", "enable-restarts-metrics", "enable-start-time-metrics"];

/// Debian's node_exporter has another default.
const EXCLUDE: &str = r".+\.(automount|device|scope|slice|target)";

fn subject(bus: &Bus) -> Subject {
    let mut flags = vec![("collector.systemd.unit-exclude", EXCLUDE)];
    flags.push(("collector.systemd.enable-task-metrics", "true"));
    flags.push(("collector.systemd.enable-restarts-metrics", "true"));
    flags.push(("collector.systemd.enable-start-time-metrics", "true"));
    Subject::new(&DEF, bus.root(), &flags)
}

#[test]
fn every_series_of_the_original_is_there() {
    let bus = Bus::start();
    let _systemd = Running::on(&bus, Systemd);
    let mut flags = vec![format!("systemd.unit-exclude={EXCLUDE}")];
    flags.extend(SWITCHES.map(|switch| format!("systemd.{switch}")));
    let address = bus.address();
    let original = original::scrape("systemd", &flags, &[("DBUS_SYSTEM_BUS_ADDRESS", &address)]);
    let ours = subject(&bus).table();
    original::assert_covers(&ours, &original, |_| false);
    // Which the original has only in newer versions.
    assert_eq!(ours["node_systemd_virtualization_info{virtualization_type=none}"], 1.0);
    assert_eq!(ours["node_systemd_units{state=reloading}"], 1.0);
    assert_eq!(ours["node_systemd_unit_state{name=data.mount,state=active,type=ext4}"], 1.0);
    assert!(!ours.keys().any(|series| series.contains("target") || series.contains("gone")));
    assert!(
        !ours.contains_key("node_systemd_unit_tasks_current{name=old.service}"),
        "none is none"
    );
}

#[test]
fn by_default_only_what_is_cheap_is_asked() {
    let bus = Bus::start();
    let _systemd = Running::on(&bus, Systemd);
    let ours = Subject::new(&DEF, bus.root(), &[]).table();
    let asked = ["tasks", "restart", "start_time"];
    assert!(!ours.keys().any(|series| asked.iter().any(|name| series.contains(name))), "{ours:#?}");
    assert!(ours.contains_key("node_systemd_unit_state{name=multi-user.target,state=active}"));
    assert!(ours.contains_key("node_systemd_timer_last_trigger_seconds{name=never.timer}"));
    assert!(!ours.keys().any(|series| series.contains("data.mount")));
}

#[test]
fn the_private_socket_gives_the_same() {
    let bus = Bus::start();
    let _systemd = Running::on(&bus, Systemd);
    let by_bus = Subject::new(&DEF, bus.root(), &[]).table();
    let root = tempfile::tempdir().unwrap();
    let _private = Running::at(&root.path().join("run/systemd/private"), Systemd);
    let mut direct = Subject::new(&DEF, root.path(), &[("collector.systemd.private", "true")]);
    assert_eq!(direct.table(), by_bus);
    assert_eq!(direct.table(), by_bus, "the connection is kept");
}

#[test]
fn what_hangs_is_named_and_the_rest_is_shown() {
    let bus = Bus::start();
    let systemd = Running::on(&bus, Systemd);
    let mut subject = subject(&bus);
    let whole = subject.table();
    systemd.hang("ListUnits");
    let (shown, error) = subject.failure();
    let hung = "no answer to org.freedesktop.systemd1.Manager.ListUnits of /org/freedesktop/systemd1 within 2 s";
    assert!(error.starts_with("unix:path=") && error.ends_with(hung), "{error}");
    assert_eq!(shown["node_systemd_version{version=252.22-1~deb12u1}"], 252.22);
    assert!(!shown.keys().any(|series| series.contains("unit_state")));
    systemd.recover();
    let (shown, error) = subject.failure();
    assert!(shown.is_empty() && error.ends_with("; asked again in 20 s"), "{error}");
    subject.wait(21);
    assert_eq!(subject.table(), whole);
}

#[test]
fn one_property_that_hangs_costs_itself_only() {
    let bus = Bus::start();
    let systemd = Running::on(&bus, Systemd);
    systemd.hang("NAccepted");
    let (shown, error) = subject(&bus).failure();
    assert!(error.contains("no answer to org.freedesktop.systemd1.Socket.NAccepted of"), "{error}");
    assert!(shown.contains_key("node_systemd_socket_current_connections{name=docker.socket}"));
    assert_eq!(shown["node_systemd_unit_state{name=ssh.service,state=active,type=notify}"], 1.0);
}

/// Answers everything, and nothing as it should be.
struct Odd;

impl Service for Odd {
    const NAME: &'static str = "org.freedesktop.systemd1";

    fn answer(&self, call: &Call<'_>) -> Option<Message> {
        match &*call.member {
            "Get" => call.reply(&Variant::from(vec![1u8])),
            _ => call.reply(&("no", "list")),
        }
    }
}

#[test]
fn answers_of_another_shape_are_refused() {
    let bus = Bus::start();
    let _odd = Running::on(&bus, Odd);
    let (shown, error) = subject(&bus).failure();
    assert!(shown.is_empty() && error.contains("ListUnits"), "{error}");
}

#[test]
fn a_bus_that_never_greets_is_named() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("run/dbus/system_bus_socket");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _listener = UnixListener::bind(socket).unwrap();
    let (shown, error) = Subject::new(&DEF, root.path(), &[]).failure();
    assert!(shown.is_empty() && error.contains("no answer to the greeting within"), "{error}");
}

#[test]
fn a_bus_that_was_restarted_is_found_again() {
    let mut bus = Bus::start();
    let systemd = Running::on(&bus, Systemd);
    let mut subject = subject(&bus);
    let whole = subject.table();
    drop(systemd);
    let (shown, result) = subject.scrape();
    assert!(shown.is_empty());
    assert_eq!(result.unwrap_err().kind(), "no_data", "nobody has the name");
    bus.restart();
    let _systemd = Running::on(&bus, Systemd);
    assert_eq!(subject.table(), whole);
}
