//! `cpu`: the time each CPU spends in each mode, and what the CPUs are (PROC/stat, PROC/cpuinfo,
//! SYS/devices/system/cpu).
//!
//! It remembers the last times, because the kernel's counters may step back and `rate()` would
//! take that for a restart. It must not know the lines of PROC/stat that belong to no CPU.

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Paths, Scrape,
    Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::cpulist::ranges;
use crate::parse::{lines, number, shown, words};

mod info;
mod topology;

use info::Info;
use topology::Topology;

static SECONDS: Family<2> =
    Family::counter("node_cpu_seconds_total", "Time each CPU spent in each mode.", ["cpu", "mode"]);
static GUEST: Family<2> = Family::counter(
    "node_cpu_guest_seconds_total",
    "Time each CPU spent running virtual machines; also counted as user and nice.",
    ["cpu", "mode"],
);
static ISOLATED: Family<1> =
    Family::gauge("node_cpu_isolated", "CPUs kept from the scheduler; always 1.", ["cpu"]);

const GUEST_FLAG: &str = "collector.cpu.guest";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("cpu", "CPU time by mode, throttling, and what the CPUs are.")
        .reads("PROC/stat, PROC/cpuinfo, SYS/devices/system/cpu")
        .flags(&[
            FlagDef::switch(GUEST_FLAG, true, "Export node_cpu_guest_seconds_total."),
            FlagDef::switch(info::INFO_FLAG, false, "Export node_cpu_info."),
            FlagDef::text(info::FLAGS_FLAG, "", "Regular expression of CPU flags to export."),
            FlagDef::text(info::BUGS_FLAG, "", "Regular expression of CPU bugs to export."),
        ])
        .families(&[
            SECONDS.doc(),
            GUEST.doc(),
            info::INFO.doc(),
            info::FREQUENCY.doc(),
            info::FLAG.doc(),
            info::BUG.doc(),
            ISOLATED.doc(),
            topology::CORE_THROTTLES.doc(),
            topology::PACKAGE_THROTTLES.doc(),
            topology::ONLINE.doc(),
        ]),
    build: |setting| Ok(Box::new(Cpu::build(setting)?)),
};

struct Cpu {
    stat: FileReader,
    times: Times,
    guest: bool,
    info: Option<Info>,
    isolated: Vec<String>,
    paths: Paths,
    topology: Topology,
}

impl Cpu {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(Cpu {
            stat: FileReader::kept_open(setting.paths.proc("stat")),
            times: Times::default(),
            guest: setting.flags.switch(GUEST_FLAG),
            info: Info::build(setting)?,
            isolated: Vec::new(),
            paths: setting.paths.clone(),
            topology: Topology::default(),
        })
    }
}

impl Collector for Cpu {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let times = self.times.update(self.stat.read()?);
        self.times.emit(self.guest, sink);
        let info = self.info.as_mut().map_or(Ok(()), |info| info.emit(sink));
        if self.times.changed {
            let isolated = std::fs::read(self.paths.sys("devices/system/cpu/isolated"));
            let isolated = ranges(&isolated.unwrap_or_default());
            self.isolated = isolated.iter().map(u64::to_string).collect();
            self.topology = Topology::list(&self.paths);
        }
        for cpu in &self.isolated {
            ISOLATED.emit(sink, [cpu], true);
        }
        self.topology.emit(sink);
        times.map_err(|(line, what)| CollectError::parse(self.stat.path(), line, what))?;
        info
    }
}

/// The columns of a `cpu` line; the last two are the guests'.
const MODES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"];
const IDLE: usize = 3;
const HOST_MODES: usize = 8;

/// The kernel counts in hundredths of a second for user space, whatever its own tick (USER_HZ).
pub(crate) const TICKS_PER_SECOND: u64 = 100;

/// Idle time that falls by so much is a CPU that was unplugged and plugged again.
const HOTPLUG_TICKS: u64 = 3 * TICKS_PER_SECOND;

/// The times of all CPUs, none of which ever steps back.
#[derive(Default)]
struct Times {
    rows: Vec<Row>,
    /// Whether the last update met other CPUs than the one before.
    changed: bool,
}

struct Row {
    cpu: String,
    ticks: [u64; MODES.len()],
}

impl Times {
    /// Takes every line that is understood; the first that is not is the error.
    fn update(&mut self, stat: &[u8]) -> Result<(), (usize, String)> {
        let mut result = Ok(());
        let mut taken = 0;
        self.changed = false;
        for (line_number, line) in lines(stat) {
            let Some(cpu) = cpu_of(line) else { continue };
            match parse_ticks(line) {
                Ok(ticks) => taken += usize::from(self.take(taken, cpu, ticks)),
                Err(what) => result = result.and(Err((line_number, what))),
            }
        }
        self.changed |= taken < self.rows.len();
        self.rows.truncate(taken);
        result
    }

    /// Puts a CPU's line at `index`, carrying its last times over from where they stood; not a
    /// second line of the same CPU.
    fn take(&mut self, index: usize, cpu: &[u8], ticks: [u64; MODES.len()]) -> bool {
        let is_it = |row: &Row| row.cpu.as_bytes() == cpu;
        if !self.rows.get(index).is_some_and(is_it) {
            self.changed = true;
            let row = match self.rows.iter().position(is_it) {
                Some(before) if before < index => return false,
                Some(behind) => self.rows.remove(behind),
                None => Row { cpu: String::from_utf8_lossy(cpu).into_owned(), ticks },
            };
            self.rows.insert(index, row);
        }
        if let Some(row) = self.rows.get_mut(index) {
            row.advance(ticks);
        }
        true
    }

    fn emit(&self, guest: bool, sink: &mut dyn MetricSink) {
        emit_modes(&self.rows, 0..HOST_MODES, SECONDS.open(sink));
        if guest {
            emit_modes(&self.rows, HOST_MODES..MODES.len(), GUEST.open(sink));
        }
    }
}

fn emit_modes(
    rows: &[Row],
    modes: std::ops::Range<usize>,
    mut family: vigie_core::metric::Opened<'_, 2>,
) {
    for row in rows {
        for (mode, ticks) in MODES.iter().zip(row.ticks).skip(modes.start).take(modes.len()) {
            family.emit([&row.cpu, mode], ticks as f64 / TICKS_PER_SECOND as f64);
        }
    }
}

impl Row {
    fn advance(&mut self, ticks: [u64; MODES.len()]) {
        if self.ticks[IDLE].saturating_sub(ticks[IDLE]) >= HOTPLUG_TICKS {
            self.ticks = ticks;
            return;
        }
        for (last, now) in self.ticks.iter_mut().zip(ticks) {
            *last = now.max(*last);
        }
    }
}

/// The number in `cpu12 ...`; nothing for the sum line and for other lines.
fn cpu_of(line: &[u8]) -> Option<&[u8]> {
    let number = words(line).next()?.strip_prefix(b"cpu")?;
    (!number.is_empty() && number.iter().all(u8::is_ascii_digit)).then_some(number)
}

/// Old kernels print fewer columns: the others are 0. Columns of newer ones are ignored.
fn parse_ticks(line: &[u8]) -> Result<[u64; MODES.len()], String> {
    let mut ticks = [0; MODES.len()];
    let mut columns = words(line).skip(1).peekable();
    if columns.peek().is_none() {
        return Err("expected CPU times, found none".to_owned());
    }
    for (tick, word) in ticks.iter_mut().zip(columns) {
        *tick = number(word).ok_or_else(|| format!("expected CPU time, found {}", shown(word)))?;
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;

    const STAT: &str = "cpu  301854 612 111922 8979004 3552 2 3944 0 0 0\n\
        cpu0 44490 19 21045 1087069 220 1 3410 0 6 7\ncpu1 1 2 3 4 5 6 7 8 9 10\nintr 5\n";

    #[test]
    fn ticks_become_seconds() {
        let text = lines(&Host::new(&[("proc/stat", STAT)]), &DEF);
        assert!(
            text.contains("node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10870.69\n"),
            "{text}"
        );
        assert!(text.contains("node_cpu_seconds_total{cpu=\"1\",mode=\"steal\"} 0.08\n"), "{text}");
        assert!(
            text.contains("node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.07\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2 * 10, "{text}");
    }

    #[test]
    fn guests_can_be_left_out() {
        let host = Host::new(&[("proc/stat", STAT)]).flag(GUEST_FLAG, &["false"]);
        assert!(!lines(&host, &DEF).contains("guest"));
    }

    #[test]
    fn no_mode_steps_back_unless_the_cpu_was_replugged() {
        let mut times = Times::default();
        let idle = |times: &Times| (times.rows[0].ticks[0], times.rows[0].ticks[IDLE]);
        times.update(b"cpu0 100 0 0 1000\n").unwrap();
        times.update(b"cpu0 90 0 0 701\n").unwrap();
        assert_eq!(idle(&times), (100, 1000));
        times.update(b"cpu0 90 0 0 700\n").unwrap();
        assert_eq!(idle(&times), (90, 700));
    }

    #[test]
    fn cpus_come_and_go() {
        let mut times = Times::default();
        times.update(b"cpu0 5\ncpu1 6\ncpu2 7\n").unwrap();
        assert!(times.changed);
        times.update(b"cpu0 5\ncpu2 1\n").unwrap();
        let rows = |times: &Times| {
            times.rows.iter().map(|r| (r.cpu.clone(), r.ticks[0])).collect::<Vec<_>>()
        };
        assert_eq!(rows(&times), [("0".to_owned(), 5), ("2".to_owned(), 7)], "2 keeps its time");
        assert!(times.changed);
        times.update(b"cpu0 5\ncpu1 1\ncpu2 8\n").unwrap();
        assert_eq!(rows(&times)[1], ("1".to_owned(), 1), "1 starts anew");
        times.update(b"cpu0 5\ncpu1 1\ncpu2 8\n").unwrap();
        assert!(!times.changed);
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/stat", "cpu0 1 x\ncpu1 2\ncpu2\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("{cpu=\"1\",mode=\"user\"} 0.02\n") && !text.contains("cpu=\"0\""));
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("stat:1: expected CPU time, found \"x\""), "{error}");
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            survives(&DEF, "proc/stat", &bytes);
        }

        #[test]
        fn no_sequence_of_files_makes_a_counter_fall(
            files in proptest::collection::vec("(cpu[0-3] [0-9]{1,3} 0 0 9\n){0,5}", 1..6),
        ) {
            let mut times = Times::default();
            for file in files {
                let before: Vec<_> = times.rows.iter().map(|r| (r.cpu.clone(), r.ticks[0])).collect();
                times.update(file.as_bytes()).unwrap();
                for (cpu, ticks) in before {
                    let now = times.rows.iter().find(|row| row.cpu == cpu);
                    prop_assert!(now.is_none_or(|row| row.ticks[0] >= ticks));
                }
            }
        }
    }
}
