//! `systemd`: the states of the host's units (D-Bus, org.freedesktop.systemd1(5)).
//!
//! What systemd says is taken down first, question by question, and turned into metrics then, so that the answers that
//! came in time are shown when one does not come. It must not know how the questions travel.

#![cfg(feature = "systemd")]

use std::collections::BTreeMap;

use regex::Regex;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::{FlagDef, Flags};
use vigie_core::metric::{Family, MetricSink};

use crate::dbus::{Bus, Caller, Failure, Property};

mod question;
mod unit;

use question::{QUESTIONS, Question};
use unit::{Answer, Unit};

static STATE: Family<3> = Family::gauge(
    "node_systemd_unit_state",
    "Whether the unit is in the state; type is that of a service or of a mount.",
    ["name", "state", "type"],
);
static RUNNING: Family = Family::gauge(
    "node_systemd_system_running",
    "Whether the system runs with all units as they should be (systemctl is-system-running).",
    [],
);
static UNITS: Family<1> =
    Family::gauge("node_systemd_units", "Units in each state, whatever their names.", ["state"]);
static VERSION: Family<1> =
    Family::gauge("node_systemd_version", "Version of systemd as a number.", ["version"]);
static VIRTUALIZATION: Family<1> = Family::gauge(
    "node_systemd_virtualization_info",
    "What systemd runs in, none for plain hardware; always 1.",
    ["virtualization_type"],
);

const INCLUDE: &str = "collector.systemd.unit-include";
const EXCLUDE: &str = "collector.systemd.unit-exclude";
const PRIVATE: &str = "collector.systemd.private";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("systemd", "States of systemd's units.")
        .reads("D-Bus org.freedesktop.systemd1, ROOTFS/run/dbus/system_bus_socket")
        .needs("systemd on the system bus")
        .off_by_default()
        .flags(&[
            FlagDef::text(INCLUDE, ".+", "Regular expression of whole unit names to export.")
                .aliases(&["collector.systemd.unit-whitelist"]),
            FlagDef::text(
                EXCLUDE,
                r".+\.(automount|device|mount|scope|slice)",
                "Regular expression of whole unit names to leave out.",
            )
            .aliases(&["collector.systemd.unit-blacklist"]),
            FlagDef::switch(
                PRIVATE,
                false,
                "Ask systemd on its own socket instead of the system bus; needs root.",
            ),
            FlagDef::switch(question::TASKS, false, "Export the tasks of services."),
            FlagDef::switch(question::RESTARTS, false, "Export the restarts of services."),
            FlagDef::switch(question::START_TIMES, false, "Export the start times of units."),
        ])
        .families(&[
            STATE.doc(),
            question::START_TIME.doc(),
            question::TASKS_CURRENT.doc(),
            question::TASKS_MAX.doc(),
            question::RESTART.doc(),
            question::LAST_TRIGGER.doc(),
            question::ACCEPTED.doc(),
            question::CONNECTIONS.doc(),
            question::REFUSED.doc(),
            RUNNING.doc(),
            UNITS.doc(),
            VERSION.doc(),
            VIRTUALIZATION.doc(),
        ]),
    build: |setting| Ok(Box::new(Systemd::build(setting)?)),
};

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PATH: &str = "/org/freedesktop/systemd1";

struct Systemd {
    bus: Bus,
    wanted: Wanted,
}

/// What the flags ask for.
struct Wanted {
    include: Regex,
    exclude: Regex,
    questions: Vec<&'static Question>,
}

impl Systemd {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let is_wanted =
            |question: &&Question| question.switch.is_none_or(|name| flags.switch(name));
        let wanted = Wanted {
            include: anchored(flags, INCLUDE)?,
            exclude: anchored(flags, EXCLUDE)?,
            questions: QUESTIONS.iter().filter(is_wanted).collect(),
        };
        let bus = match flags.switch(PRIVATE) {
            true => Bus::direct(SERVICE, &setting.paths.root("run/systemd/private")),
            false => Bus::system(SERVICE, &setting.paths)?,
        };
        Ok(Systemd { bus, wanted })
    }
}

/// Unlike other patterns of node_exporter these match whole names; an empty one matches none.
fn anchored(flags: &Flags, name: &str) -> Result<Regex, BuildError> {
    flags.regex(name)?;
    let whole = Regex::new(&format!("^(?:{})$", flags.text(name)));
    Ok(whole.map_err(|error| flags.error(name, error.to_string()))?)
}

impl Wanted {
    fn admits(&self, unit: &str) -> bool {
        self.include.is_match(unit) && !self.exclude.is_match(unit)
    }
}

impl Collector for Systemd {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let Systemd { bus, wanted } = self;
        let (manager, result) = bus
            .talk(scrape, &async |caller, manager: &mut Manager| manager.ask(caller, wanted).await);
        manager.emit(&wanted.questions, sink);
        result
    }
}

/// States of units that always have a series.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

/// What systemd said.
#[derive(Default)]
struct Manager {
    version: Option<String>,
    virtualization: Option<String>,
    state: Option<String>,
    /// Number of all units in each state.
    summary: BTreeMap<String, u64>,
    /// The loaded units with an admitted name.
    units: Vec<Unit>,
    answers: Vec<Answer>,
}

impl Manager {
    async fn ask(&mut self, caller: &Caller<'_>, wanted: &Wanted) -> Result<(), Failure> {
        let names = ["Version", "Virtualization", "SystemState"];
        let properties = names.map(|name| Property { path: PATH, interface: MANAGER, name });
        let into = [&mut self.version, &mut self.virtualization, &mut self.state];
        caller
            .properties(&properties, |index, value| {
                *into[index] = String::try_from(value).ok();
            })
            .await?;
        let body = caller.call(PATH, MANAGER, "ListUnits", &()).await?;
        let listed = unit::listed(&body)?;
        self.summary = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
        for unit in listed {
            *self.summary.entry(unit.state.to_owned()).or_default() += 1;
            if unit.is_loaded && wanted.admits(unit.name) {
                self.units.push(unit.into());
            }
        }
        let Manager { units, answers, .. } = self;
        unit::ask(caller, units, &wanted.questions, answers).await
    }

    fn emit(&self, questions: &[&Question], sink: &mut dyn MetricSink) {
        if let Some(version) = &self.version {
            VERSION.emit(sink, [version], number(version));
        }
        if let Some(virtualization) = &self.virtualization {
            let kind = if virtualization.is_empty() { "none" } else { virtualization };
            VIRTUALIZATION.emit(sink, [kind], true);
        }
        if let Some(state) = &self.state {
            RUNNING.emit(sink, [], state == "running");
        }
        let mut family = UNITS.open(sink);
        for (state, number) in &self.summary {
            family.emit([state], *number);
        }
        let mut family = STATE.open(sink);
        for unit in &self.units {
            for state in STATES {
                family.emit([&unit.name, state, &unit.kind], unit.state == state);
            }
        }
        for question in questions {
            question.emit(&self.units, &self.answers, sink);
        }
    }
}

/// `252.22-1~deb12u1` is 252.22; 0 where there is no number of three digits.
fn number(version: &str) -> f64 {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut words = version.split(|c| !is_part(c)).map(|word| word.trim_matches('.'));
    let whole = |word: &&str| word.split('.').next().is_some_and(|whole| whole.len() >= 3);
    let word = words.find(whole).unwrap_or_default();
    let end = word.match_indices('.').nth(1).map_or(word.len(), |(at, _)| at);
    word.get(..end)
        .and_then(|word| word.parse().ok())
        .filter(|number: &f64| number.is_finite())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, scrape};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_version_has_a_number(version in "[0-9v.~ -]{0,20}|\\PC{0,20}") {
            prop_assert!(number(&version) >= 0.0);
        }

        #[test]
        fn a_plain_version_is_its_number(version in 100u32..10_000) {
            prop_assert_eq!(number(&format!("systemd {version}-1")), f64::from(version));
        }
    }

    #[test]
    fn versions_of_distributions_are_numbers() {
        for (version, expected) in [
            ("252.22-1~deb12u1", 252.22),
            ("v257.9-1.fc42", 257.9),
            ("systemd 255", 255.0),
            ("255.4.1", 255.4),
            ("256~rc3", 256.0),
            ("", 0.0),
            ("42", 0.0),
            (&"9".repeat(400), 0.0),
        ] {
            assert!((number(version) - expected).abs() < 1e-9, "{version}: {}", number(version));
        }
    }

    #[test]
    fn patterns_match_whole_names_and_both_count() {
        let host = Host::new(&[]);
        assert!(host.build(&DEF).is_ok());
        let mut flags = Flags::new(DEF.info.flags);
        flags.set(INCLUDE, vec!["ssh|cron.service|x.mount".into()]);
        let wanted = Wanted {
            include: anchored(&flags, INCLUDE).unwrap(),
            exclude: anchored(&flags, EXCLUDE).unwrap(),
            questions: Vec::new(),
        };
        assert!(wanted.admits("cron.service"));
        assert!(!wanted.admits("ssh.service") && !wanted.admits("x.mount"));
        let error = Host::new(&[]).flag(EXCLUDE, &["("]).build(&DEF).err().unwrap();
        assert!(error.starts_with(&format!("--{EXCLUDE}: not a regular expression")), "{error}");
    }

    #[test]
    fn what_was_answered_is_shown() {
        let manager = Manager {
            version: Some("252.22-1".into()),
            summary: [("active".to_owned(), 3)].into(),
            units: vec![Unit { name: "a.service".into(), ..Unit::default() }],
            ..Manager::default()
        };
        let mut sink = Lines::default();
        manager.emit(&[], &mut sink);
        assert_eq!(
            sink.text,
            "node_systemd_version{version=\"252.22-1\"} 252.22\n\
             node_systemd_units{state=\"active\"} 3\n\
             node_systemd_unit_state{name=\"a.service\",state=\"active\"} 0\n\
             node_systemd_unit_state{name=\"a.service\",state=\"activating\"} 0\n\
             node_systemd_unit_state{name=\"a.service\",state=\"deactivating\"} 0\n\
             node_systemd_unit_state{name=\"a.service\",state=\"inactive\"} 0\n\
             node_systemd_unit_state{name=\"a.service\",state=\"failed\"} 0\n"
        );
    }

    #[test]
    fn without_a_bus_there_is_no_data() {
        for private in ["true", "false"] {
            let mut setting = Setting::default();
            setting.paths.rootfs = Host::new(&[]).path("").into();
            let mut flags = Flags::new(DEF.info.flags);
            flags.set(PRIVATE, vec![private.into()]);
            setting.flags = std::sync::Arc::new(flags);
            let (text, result) = scrape(&mut *(DEF.build)(&setting).unwrap());
            assert_eq!((text.as_str(), result.unwrap_err().kind()), ("", "no_data"));
        }
    }
}
