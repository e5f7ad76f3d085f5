//! `supervisord`: the states of the processes that supervisord looks after (XML-RPC,
//! supervisord.org/api.html).
//!
//! One request is made for each scrape. It must not know HTTP nor XML.

use std::time::Duration;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::patience::Patience;

mod request;
mod xmlrpc;

use request::{Endpoint, Failure};
use xmlrpc::Process;

static UP: Family<2> =
    Family::gauge("node_supervisord_up", "Whether the process runs.", ["name", "group"]);
static STATE: Family<2> = Family::gauge(
    "node_supervisord_state",
    "State as supervisord numbers it: 0 stopped, 10 starting, 20 running, 30 backing off, 40 stopping, 100 exited, \
     200 given up, 1000 unknown.",
    ["name", "group"],
);
static EXIT_STATUS: Family<2> = Family::gauge(
    "node_supervisord_exit_status",
    "How the process ended last; 0 while it runs.",
    ["name", "group"],
);
static START_TIME: Family<2> = Family::counter(
    "node_supervisord_start_time_seconds",
    "When the running process was started, in seconds since 1970.",
    ["name", "group"],
);

const URL: &str = "collector.supervisord.url";
/// Where the URL comes from when no flag gives it.
const URL_VARIABLE: &str = "SUPERVISORD_URL";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("supervisord", "States of supervisord's processes.")
        .reads("XML-RPC of supervisord over HTTP")
        .needs("a supervisord with an HTTP server")
        .off_by_default()
        .flags(&[FlagDef::text(
            URL,
            "http://localhost:9001/RPC2",
            "Where supervisord serves: http://[USER:PASSWORD@]HOST:PORT/RPC2 or unix:///PATH; the environment \
             variable SUPERVISORD_URL replaces the default.",
        )])
        .families(&[UP.doc(), STATE.doc(), EXIT_STATUS.doc(), START_TIME.doc()]),
    build: |setting| {
        let endpoint = Endpoint::parse(&url(setting, std::env::var(URL_VARIABLE).ok()));
        let endpoint = endpoint.map_err(|what| setting.flags.error(URL, what))?;
        Ok(Box::new(Supervisord { endpoint, patience: Patience::new(LIMIT) }))
    },
};

fn url(setting: &Setting, variable: Option<String>) -> String {
    let variable = variable.filter(|url| !url.is_empty() && !setting.flags.is_given(URL));
    variable.unwrap_or_else(|| setting.flags.text(URL).to_owned())
}

const LIMIT: Duration = Duration::from_secs(2);

struct Supervisord {
    endpoint: Endpoint,
    patience: Patience,
}

impl Collector for Supervisord {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let until = self.patience.deadline(scrape)?;
        let answer =
            self.endpoint.post(xmlrpc::QUESTION, until).map_err(|failure| match failure {
                Failure::Silent => {
                    let limit = self.patience.limit().as_secs_f64();
                    let what = format!("{}: no answer within {limit} s", self.endpoint);
                    self.patience.silent(scrape, what)
                }
                Failure::Other(what) => CollectError::Other(format!("{}: {what}", self.endpoint)),
            })?;
        self.patience.answered();
        let processes = xmlrpc::parse(&answer)
            .map_err(|what| CollectError::Other(format!("{}: {what}", self.endpoint)))?;
        for process in &processes {
            emit(process, sink);
        }
        Ok(())
    }
}

fn emit(process: &Process, sink: &mut dyn MetricSink) {
    const STARTING: i64 = 10;
    const RUNNING: i64 = 20;
    const STOPPING: i64 = 40;
    let labels = [&*process.name, &*process.group];
    let runs = matches!(process.state, STARTING | RUNNING | STOPPING);
    UP.emit(sink, labels, runs);
    STATE.emit(sink, labels, process.state as f64);
    EXIT_STATUS.emit(sink, labels, process.exit_status as f64);
    if runs {
        START_TIME.emit(sink, labels, process.start as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines};

    #[test]
    fn only_processes_that_run_have_a_start_time() {
        let mut process = Process {
            name: "web_00".into(),
            group: "web".into(),
            state: 20,
            start: 1_700_000_000,
            exit_status: 0,
        };
        let mut sink = Lines::default();
        emit(&process, &mut sink);
        (process.state, process.exit_status) = (100, -9);
        emit(&process, &mut sink);
        let lines: Vec<_> = sink
            .text
            .lines()
            .map(|line| line.replace("{name=\"web_00\",group=\"web\"}", ""))
            .collect();
        assert_eq!(
            lines,
            [
                "node_supervisord_up 1",
                "node_supervisord_state 20",
                "node_supervisord_exit_status 0",
                "node_supervisord_start_time_seconds 1700000000",
                "node_supervisord_up 0",
                "node_supervisord_state 100",
                "node_supervisord_exit_status -9",
            ]
        );
    }

    #[test]
    fn a_flag_counts_more_than_the_environment() {
        let mut flags = vigie_core::config::Flags::new(DEF.info.flags);
        let setting =
            |flags| Setting::new(Default::default(), std::sync::Arc::new(flags), String::new());
        let variable = Some("unix:///a".to_owned());
        assert_eq!(url(&setting(flags.clone()), None), "http://localhost:9001/RPC2");
        assert_eq!(url(&setting(flags.clone()), variable.clone()), "unix:///a");
        flags.set(URL, vec!["http://b/".into()]);
        assert_eq!(url(&setting(flags), variable), "http://b/");
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        let host = Host::new(&[]).flag(URL, &["https://u:hush@localhost/RPC2"]);
        let error = host.build(&DEF).err().unwrap();
        assert!(
            error.starts_with("--collector.supervisord.url: ") && !error.contains("hush"),
            "{error}"
        );
    }
}
