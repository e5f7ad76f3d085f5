//! `pressure`: time lost waiting for CPU, I/O, memory and interrupts (PROC/pressure).
//!
//! Only the totals are told: averages can be computed from them over any time. It must not know the pressure
//! of single control groups.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{count, each_line, shown, words};

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family::counter(name, help, [])
}

static CPU_WAITING: Family =
    counter("node_pressure_cpu_waiting_seconds_total", "Time in which some task waited for a CPU.");
static IO_WAITING: Family =
    counter("node_pressure_io_waiting_seconds_total", "Time in which some task waited for I/O.");
static IO_STALLED: Family =
    counter("node_pressure_io_stalled_seconds_total", "Time in which all tasks waited for I/O.");
static MEMORY_WAITING: Family = counter(
    "node_pressure_memory_waiting_seconds_total",
    "Time in which some task waited for memory.",
);
static MEMORY_STALLED: Family = counter(
    "node_pressure_memory_stalled_seconds_total",
    "Time in which all tasks waited for memory.",
);
static IRQ_STALLED: Family =
    counter("node_pressure_irq_stalled_seconds_total", "Time that interrupts took from all tasks.");

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("pressure", "Time lost waiting for CPU, I/O, memory, interrupts.")
        .needs("Linux 4.20 or later with pressure stall information (psi=1)")
        .reads("PROC/pressure/{cpu,io,memory,irq}")
        .families(&[
            CPU_WAITING.doc(),
            IO_WAITING.doc(),
            IO_STALLED.doc(),
            MEMORY_WAITING.doc(),
            MEMORY_STALLED.doc(),
            IRQ_STALLED.doc(),
        ]),
    build: |setting| {
        let resource = |name: &str, some, full| Resource {
            file: FileReader::kept_open(setting.paths.proc("pressure").join(name)),
            some,
            full,
        };
        Ok(Box::new(Pressure([
            // The whole host cannot stall for want of a CPU: that line is always 0.
            resource("cpu", Some(&CPU_WAITING), None),
            resource("io", Some(&IO_WAITING), Some(&IO_STALLED)),
            resource("memory", Some(&MEMORY_WAITING), Some(&MEMORY_STALLED)),
            resource("irq", None, Some(&IRQ_STALLED)),
        ])))
    },
};

struct Pressure([Resource; 4]);

/// A file and the families of its two lines.
struct Resource {
    file: FileReader,
    some: Option<&'static Family>,
    full: Option<&'static Family>,
}

impl Collector for Pressure {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut found = false;
        let mut result = Ok(());
        for resource in &mut self.0 {
            match resource.emit(sink) {
                Err(error) if is_absent(&error) => {}
                other => {
                    found = true;
                    result = result.and(other);
                }
            }
        }
        if found { result } else { Err(CollectError::no_data("the kernel keeps no pressure")) }
    }
}

impl Resource {
    fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let (some, full) = (self.some, self.full);
        let result = each_line(self.file.read()?, |line| {
            let family = match words(line).next() {
                Some(b"some") => some,
                Some(b"full") => full,
                _ => None,
            };
            let Some(family) = family else { return Ok(()) };
            // As node_exporter counts, to the last bit.
            family.emit(sink, [], total(line)? as f64 / 1000.0 / 1000.0);
            Ok(())
        });
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// Microseconds.
fn total(line: &[u8]) -> Result<u64, String> {
    let total = words(line).find_map(|word| word.strip_prefix(b"total="));
    let total = total.ok_or_else(|| format!("expected total=, found {}", shown(line)))?;
    count(Some(total))
}

/// Kernels without CONFIG_PSI lack the files, older ones that of interrupts; with `psi=0` they cannot be read.
fn is_absent(error: &CollectError) -> bool {
    let CollectError::Read { source, .. } = error else { return false };
    source.kind() == std::io::ErrorKind::NotFound || source.raw_os_error() == Some(libc::EOPNOTSUPP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const BOTH: &str = "some avg10=0.10 avg60=2.00 avg300=3.85 total=1500\n\
        full avg10=0.20 avg60=3.00 avg300=4.95 total=25000000\n";

    #[test]
    fn totals_come_out_in_seconds() {
        let host = Host::new(&[
            ("proc/pressure/cpu", BOTH),
            ("proc/pressure/io", BOTH),
            ("proc/pressure/memory", BOTH),
            ("proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=8494\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_pressure_cpu_waiting_seconds_total 0.0015\n\
             node_pressure_io_waiting_seconds_total 0.0015\n\
             node_pressure_io_stalled_seconds_total 25\n\
             node_pressure_memory_waiting_seconds_total 0.0015\n\
             node_pressure_memory_stalled_seconds_total 25\n\
             node_pressure_irq_stalled_seconds_total 0.008494\n"
        );
    }

    #[test]
    fn a_kernel_without_pressure_of_interrupts_is_fine() {
        let text = lines(&Host::new(&[("proc/pressure/cpu", "some total=1000000\n")]), &DEF);
        assert_eq!(text, "node_pressure_cpu_waiting_seconds_total 1\n");
    }

    #[test]
    fn a_kernel_without_pressure_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
        let refused = std::io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        assert!(is_absent(&CollectError::read("cpu", refused)));
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/pressure/io", "some avg10=1\nfull total=2000000\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_pressure_io_stalled_seconds_total 2\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("io:1: expected total=, found \"some avg10=1\""), "{error}");
    }
}
