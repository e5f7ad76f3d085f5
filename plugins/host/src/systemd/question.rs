//! What is asked of each unit besides its state, as a table.
//!
//! A property costs one call for each unit that has it, so most wait for a flag. It must not know how they are asked.

use vigie_core::metric::{Family, MetricSink};

use super::unit::{Answer, Unit};

pub(super) const TASKS: &str = "collector.systemd.enable-task-metrics";
pub(super) const RESTARTS: &str = "collector.systemd.enable-restarts-metrics";
pub(super) const START_TIMES: &str = "collector.systemd.enable-start-time-metrics";

pub(super) static START_TIME: Family<1> = Family::gauge(
    "node_systemd_unit_start_time_seconds",
    "When the unit became active, in seconds since 1970; 0 while it is not.",
    ["name"],
);
pub(super) static TASKS_CURRENT: Family<1> = Family::gauge(
    "node_systemd_unit_tasks_current",
    "Processes and threads of the service now.",
    ["name"],
);
pub(super) static TASKS_MAX: Family<1> = Family::gauge(
    "node_systemd_unit_tasks_max",
    "Most processes and threads the service may have.",
    ["name"],
);
pub(super) static RESTART: Family<1> = Family::counter(
    "node_systemd_service_restart_total",
    "Times systemd restarted the service by itself.",
    ["name"],
);
pub(super) static LAST_TRIGGER: Family<1> = Family::gauge(
    "node_systemd_timer_last_trigger_seconds",
    "When the timer went off last, in seconds since 1970; 0 for never.",
    ["name"],
);
pub(super) static ACCEPTED: Family<1> = Family::counter(
    "node_systemd_socket_accepted_connections_total",
    "Connections the socket unit accepted.",
    ["name"],
);
pub(super) static CONNECTIONS: Family<1> = Family::gauge(
    "node_systemd_socket_current_connections",
    "Connections of the socket unit that are open.",
    ["name"],
);
pub(super) static REFUSED: Family<1> = Family::gauge(
    "node_systemd_socket_refused_connections_total",
    "Connections the socket unit refused.",
    ["name"],
);

/// A property of some units.
pub(super) struct Question {
    /// What the names of its units end with.
    pub(super) suffix: &'static str,
    pub(super) interface: &'static str,
    pub(super) property: &'static str,
    /// The flag that asks for it; always asked without one.
    pub(super) switch: Option<&'static str>,
    /// What the answer is for.
    pub(super) answers: Answers,
}

/// What an answer is for.
pub(super) enum Answers {
    /// The label `type` of the unit.
    Kind,
    /// A number of things.
    Count(&'static Family<1>),
    /// A number of tasks; the largest one stands for none.
    Limit(&'static Family<1>),
    /// Microseconds since 1970.
    Time(&'static Family<1>),
    /// The same, of units that are active.
    Since(&'static Family<1>),
}

macro_rules! interface {
    ($name:literal) => {
        concat!("org.freedesktop.systemd1.", $name)
    };
}

const SERVICE: &str = interface!("Service");
const SOCKET: &str = interface!("Socket");

pub(super) static QUESTIONS: [Question; 10] = [
    always(".service", SERVICE, "Type", Answers::Kind),
    always(".mount", interface!("Mount"), "Type", Answers::Kind),
    on(START_TIMES, "", interface!("Unit"), "ActiveEnterTimestamp", Answers::Since(&START_TIME)),
    on(TASKS, ".service", SERVICE, "TasksCurrent", Answers::Limit(&TASKS_CURRENT)),
    on(TASKS, ".service", SERVICE, "TasksMax", Answers::Limit(&TASKS_MAX)),
    on(RESTARTS, ".service", SERVICE, "NRestarts", Answers::Count(&RESTART)),
    always(".timer", interface!("Timer"), "LastTriggerUSec", Answers::Time(&LAST_TRIGGER)),
    always(".socket", SOCKET, "NAccepted", Answers::Count(&ACCEPTED)),
    always(".socket", SOCKET, "NConnections", Answers::Count(&CONNECTIONS)),
    always(".socket", SOCKET, "NRefused", Answers::Count(&REFUSED)),
];

const fn always(
    suffix: &'static str,
    interface: &'static str,
    property: &'static str,
    answers: Answers,
) -> Question {
    Question { suffix, interface, property, switch: None, answers }
}

const fn on(
    switch: &'static str,
    suffix: &'static str,
    interface: &'static str,
    property: &'static str,
    answers: Answers,
) -> Question {
    Question { suffix, interface, property, switch: Some(switch), answers }
}

impl Question {
    /// Whether systemd is asked it about `unit`.
    pub(super) fn is_for(&self, unit: &Unit) -> bool {
        let is_since = matches!(self.answers, Answers::Since(_));
        unit.name.ends_with(self.suffix) && (!is_since || unit.is_active())
    }

    /// Shows the answers to this question.
    pub(super) fn emit(&self, units: &[Unit], answers: &[Answer], sink: &mut dyn MetricSink) {
        const MICROSECONDS: f64 = 1e6;
        let (family, divisor) = match self.answers {
            Answers::Kind => return,
            Answers::Count(family) | Answers::Limit(family) => (family, 1.0),
            Answers::Time(family) | Answers::Since(family) => (family, MICROSECONDS),
        };
        let mut family = family.open(sink);
        if matches!(self.answers, Answers::Since(_)) {
            for unit in units.iter().filter(|unit| !unit.is_active()) {
                family.emit([&unit.name], 0u64);
            }
        }
        let ours = answers.iter().filter(|answer| std::ptr::eq(answer.question, self));
        for (answer, unit) in ours.filter_map(|answer| Some((answer, units.get(answer.unit)?))) {
            family.emit([&unit.name], answer.number as f64 / divisor);
        }
    }
}
