//! The little that is read from procfs besides network figures: when things began, what there is.
//!
//! It gives a container a start time when no daemon can be asked, and the root its limits, which
//! the root cgroup itself does not have. It must not know cgroups or containers.

use vigie_core::collect::Paths;

use crate::cgroup::{Files, lines, parse_number};

/// `starttime` counts ticks of USER_HZ, which is 100 on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// What is true of the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes.
    pub(crate) swap: Option<u64>,
    /// Unix seconds.
    pub(crate) booted: Option<u64>,
}

impl Machine {
    /// Reads `PROC/meminfo` and the boot time in `PROC/stat`.
    pub(crate) fn read(paths: &Paths, files: &mut Files) -> Machine {
        let meminfo = files.read_path(&paths.proc("meminfo"));
        let [memory, swap] = meminfo
            .map(|text| [field(text, b"MemTotal:"), field(text, b"SwapTotal:")])
            .unwrap_or_default();
        let kibibytes = |value: Option<u64>| value.map(|value| value.saturating_mul(1024));
        let booted = files.read_path(&paths.proc("stat")).and_then(|text| field(text, b"btime"));
        Machine { memory: kibibytes(memory), swap: kibibytes(swap), booted }
    }

    /// Unix seconds at which a process began.
    pub(crate) fn process_start(&self, pid: u64, paths: &Paths, files: &mut Files) -> Option<i64> {
        let ticks = parse_start(files.read_path(&paths.proc(format!("{pid}/stat")))?)?;
        i64::try_from(self.booted?.saturating_add(ticks / TICKS_PER_SECOND)).ok()
    }
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

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            let _ = (parse_start(&text), field(&text, b"btime"));
        }
    }
}
