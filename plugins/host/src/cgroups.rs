//! `cgroups`: how many control groups each controller has (PROC/cgroups).
//!
//! The kernel's summary, which newer kernels keep for the first version of control groups only. It must not
//! know the groups themselves.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{count, each_line, text, words};
use crate::rows::{Reading, Rows};

static CGROUPS: Family<1> =
    Family::gauge("node_cgroups_cgroups", "Control groups of each controller.", ["subsys_name"]);
static ENABLED: Family<1> =
    Family::gauge("node_cgroups_enabled", "Whether the controller is enabled.", ["subsys_name"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("cgroups", "Number of control groups by controller.")
        .needs("a kernel with cgroups of version 1")
        .reads("PROC/cgroups")
        .off_by_default()
        .families(&[CGROUPS.doc(), ENABLED.doc()]),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("cgroups"));
        Ok(Box::new(CGroups { file, controllers: Rows::default() }))
    },
};

struct CGroups {
    file: FileReader,
    controllers: Rows<Controller>,
}

struct Controller {
    name: String,
    cgroups: u64,
    enabled: bool,
}

impl Collector for CGroups {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut reading = self.controllers.reading();
        let result = each_line(file, |line| take(line, &mut reading));
        drop(reading);
        let mut family = CGROUPS.open(sink);
        for controller in self.controllers.iter() {
            family.emit([&controller.name], controller.cgroups);
        }
        let mut family = ENABLED.open(sink);
        for controller in self.controllers.iter() {
            family.emit([&controller.name], controller.enabled);
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// `cpuset  3  1  1`: name, hierarchy, groups, enabled; the headings begin with `#`.
fn take(line: &[u8], reading: &mut Reading<'_, Controller>) -> Result<(), String> {
    let mut words = words(line);
    let Some(name) = words.next().filter(|name| !name.starts_with(b"#")) else { return Ok(()) };
    let (cgroups, enabled) = (count(words.nth(1))?, count(words.next())? != 0);
    let make = || Controller { name: text(name).into_owned(), cgroups, enabled };
    if let Some(controller) = reading.row(name, make) {
        (controller.cgroups, controller.enabled) = (cgroups, enabled);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t47\t1\nrdma\t0\t1\t0\n";

    #[test]
    fn controllers_come_out() {
        let text = lines(&Host::new(&[("proc/cgroups", FILE)]), &DEF);
        assert_eq!(
            text,
            "node_cgroups_cgroups{subsys_name=\"cpuset\"} 47\n\
             node_cgroups_cgroups{subsys_name=\"rdma\"} 1\n\
             node_cgroups_enabled{subsys_name=\"cpuset\"} 1\n\
             node_cgroups_enabled{subsys_name=\"rdma\"} 0\n"
        );
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/cgroups", "cpu\t0\tfew\t1\npids\t0\t2\t1\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text.lines().count(), 2, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("cgroups:1: expected a count, found \"few\""), "{error}");
    }

    #[test]
    fn a_kernel_without_control_groups_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
