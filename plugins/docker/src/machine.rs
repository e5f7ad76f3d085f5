//! The machine that the containers share: what it has, when it began, what it is called.
//!
//! It gives the root cgroup the limits it does not have itself, and a container a start time when
//! no daemon can be asked. It must not know cgroups or containers.

use vigie_core::collect::Paths;
use vigie_core::metric::{FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::cgroup::{Files, lines, parse_number};
use crate::family::describe;

const IDENTITY: &[&str] = &["boot_id", "machine_id", "system_uuid"];

const fn gauge(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Gauge, labels: IDENTITY }
}

/// cAdvisor's families of the machine.
pub(crate) static FAMILIES: [FamilyDoc; 3] = [
    gauge("machine_cpu_cores", "Number of logical CPU cores."),
    gauge("machine_memory_bytes", "Amount of memory installed on the machine."),
    gauge("machine_swap_bytes", "Amount of swap memory available on the machine."),
];

/// `starttime` counts ticks of USER_HZ, which is 100 on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// What the machine has at a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Logical, online.
    pub(crate) cores: Option<u64>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes.
    pub(crate) swap: Option<u64>,
    /// Unix seconds.
    pub(crate) booted: Option<u64>,
}

impl Machine {
    /// Reads `PROC/meminfo` and `PROC/stat`.
    pub(crate) fn read(paths: &Paths, files: &mut Files) -> Machine {
        let kibibytes = |value: Option<u64>| value.map(|value| value.saturating_mul(1024));
        let mut machine = Machine::default();
        if let Some(text) = files.read_path(&paths.proc("meminfo")) {
            machine.memory = kibibytes(field(text, b"MemTotal:"));
            machine.swap = kibibytes(field(text, b"SwapTotal:"));
        }
        if let Some(text) = files.read_path(&paths.proc("stat")) {
            machine.booted = field(text, b"btime");
            machine.cores = Some(count_cores(text)).filter(|&cores| cores > 0);
        }
        machine
    }

    /// Pushes [`FAMILIES`].
    pub(crate) fn emit(&self, identity: &Identity, sink: &mut dyn MetricSink) {
        let labels = [
            ("boot_id", identity.boot.as_str()),
            ("machine_id", identity.machine.as_str()),
            ("system_uuid", identity.system.as_str()),
        ];
        let values = [self.cores, self.memory, self.swap];
        for (family, value) in FAMILIES.iter().zip(values) {
            if let Some(value) = value {
                sink.family(&describe(family));
                sink.sample(&Sample::new(&labels, Value::U64(value)));
            }
        }
    }

    /// Unix seconds at which a process began.
    pub(crate) fn process_start(&self, pid: u64, paths: &Paths, files: &mut Files) -> Option<i64> {
        let ticks = parse_start(files.read_path(&paths.proc(format!("{pid}/stat")))?)?;
        i64::try_from(self.booted?.saturating_add(ticks / TICKS_PER_SECOND)).ok()
    }
}

/// What the machine is called; empty where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Anew at each boot.
    boot: String,
    /// Of the installed system.
    machine: String,
    /// Of the board, which only root may read.
    system: String,
}

impl Identity {
    pub(crate) fn read(paths: &Paths, files: &mut Files) -> Identity {
        let mut word = |path| {
            let text = files.read_path(path).map(<[u8]>::trim_ascii).unwrap_or_default();
            let plain = text.len() <= 64 && text.iter().all(|byte| byte.is_ascii_graphic());
            String::from_utf8_lossy(if plain { text } else { b"" }).into_owned()
        };
        Identity {
            boot: word(&paths.proc("sys/kernel/random/boot_id")),
            machine: word(&paths.root("/etc/machine-id")),
            system: word(&paths.sys("class/dmi/id/product_uuid")),
        }
    }
}

/// Lines `cpu0 ...` of `PROC/stat`; the first, `cpu ...`, is their sum.
fn count_cores(stat: &[u8]) -> u64 {
    let is_core = |line: &&[u8]| {
        line.strip_prefix(b"cpu").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
    };
    lines(stat).filter(is_core).count() as u64
}

/// The number that follows `key` on its line.
fn field(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_ascii();
        parse_number(rest.split(u8::is_ascii_whitespace).next()?)
    })
}

/// `starttime`, the 22nd field; the second is a name in brackets that may hold anything.
fn parse_start(text: &[u8]) -> Option<u64> {
    let end = text.iter().rposition(|&byte| byte == b')')?;
    parse_number(text.get(end + 2..)?.split(|&byte| byte == b' ').nth(19)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let text = b"7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 5 6\n";
        assert_eq!(parse_start(text), Some(4711));
        assert_eq!(parse_start(b"7 (a)"), None);
    }

    #[test]
    fn a_field_is_a_whole_word() {
        assert_eq!(field(b"MemTotalX: 1 kB\nMemTotal:  2 kB\n", b"MemTotal:"), Some(2));
        assert_eq!(field(b"MemTotal:\n", b"MemTotal:"), None);
    }

    #[test]
    fn cores_are_counted_and_their_sum_is_not() {
        assert_eq!(count_cores(b"cpu  1 2\ncpu0 1 1\ncpu11 0 1\ncpufreq 3\nintr 7\n"), 2);
    }

    #[test]
    fn a_machine_says_what_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        let paths = Paths {
            procfs: dir.path().join("proc"),
            sysfs: dir.path().join("sys"),
            rootfs: dir.path().to_owned(),
            ..Paths::default()
        };
        for (text, machine) in [("0af1\n", "0af1"), ("a b\n", ""), ("", "")] {
            std::fs::write(dir.path().join("etc/machine-id"), text).unwrap();
            let identity = Identity::read(&paths, &mut Files::new());
            assert_eq!(identity, Identity { machine: machine.to_owned(), ..Identity::default() });
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            let _ = (parse_start(&text), field(&text, b"btime"), count_cores(&text));
        }
    }
}
