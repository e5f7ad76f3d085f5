//! `kernel_hung`: tasks that hung in the kernel (PROC/sys/kernel/hung_task_detect_count).
//!
//! The kernel counts them since 6.13, and only with its hung task detector. It must not know which tasks.

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::scalar::Scalar;

static TASKS: Family = Family::counter(
    "node_kernel_hung_tasks_total",
    "Tasks that were found hanging in the kernel since boot.",
    [],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("kernel_hung", "Tasks that hung in the kernel.")
        .needs("Linux 6.13 or later")
        .reads("PROC/sys/kernel/hung_task_detect_count")
        .families(&[TASKS.doc()]),
    build: |setting| {
        let path = setting.paths.proc("sys/kernel/hung_task_detect_count");
        Ok(Box::new(KernelHung(Scalar::new(&TASKS, path))))
    },
};

struct KernelHung(Scalar);

impl Collector for KernelHung {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.0.emit(sink).map_err(CollectError::missing_is_no_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn the_count_comes_out() {
        let host = Host::new(&[("proc/sys/kernel/hung_task_detect_count", "5\n")]);
        assert_eq!(lines(&host, &DEF), "node_kernel_hung_tasks_total 5\n");
    }

    #[test]
    fn an_older_kernel_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
