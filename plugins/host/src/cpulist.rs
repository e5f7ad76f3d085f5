//! CPUs as sysfs has them: directories `cpuN`, and lists of ranges.
//!
//! Several collectors walk the same tree. It must not know what is told of a CPU.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::parse::number;

/// The help text of `node_cpu_frequency_hertz`, which two collectors show with different labels.
pub(crate) const FREQUENCY_HELP: &str = "Frequency of each CPU, as the hardware tells it.";

/// The directories `cpuN` below SYS/devices/system/cpu, by number.
pub(crate) fn directories(root: &Path) -> Vec<(u64, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let cpu = number(entry.file_name().as_encoded_bytes().strip_prefix(b"cpu")?)?;
            Some((cpu, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// The CPUs of a list such as `1,4-6`; what is not understood is left out.
pub(crate) fn ranges(list: &[u8]) -> BTreeSet<u64> {
    /// More CPUs than any kernel supports: what claims more is no list of CPUs.
    const MOST: u64 = 1 << 16;
    let mut cpus = BTreeSet::new();
    for range in list.trim_ascii().split(|&b| b == b',') {
        let mut ends = range.splitn(2, |&b| b == b'-').map(number);
        let first = ends.next().flatten();
        let last = ends.next().unwrap_or(first);
        if let (Some(first), Some(last)) = (first, last)
            && last < MOST
        {
            cpus.extend(first..=last);
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn lists_of_cpus_are_ranges() {
        assert_eq!(ranges(b"1,4-6,1\n"), BTreeSet::from([1, 4, 5, 6]));
        assert!(ranges(b"\n").is_empty() && ranges(b"x,3-y,0-99999999999").is_empty());
    }

    #[test]
    fn directories_come_by_number() {
        let host = Host::new(&[("cpu/cpu10/x", ""), ("cpu/cpu9/x", ""), ("cpu/cpufreq/x", "")]);
        let found = directories(&host.dir.path().join("cpu"));
        assert_eq!(found.iter().map(|(cpu, _)| *cpu).collect::<Vec<_>>(), [9, 10]);
    }
}
