//! cgroup v2: one hierarchy with every controller.
//!
//! The root cgroup lacks most files, since the whole machine is measured elsewhere; what its
//! `memory.stat` tells is enough for usage. It must not know names or labels.
//! (Linux `Documentation/admin-guide/cgroup-v2.rst`.)

use std::path::{Path, PathBuf};

use super::file::{Files, keyed, lines, parse_device, parse_number, split_once};
use super::usage::{Cpu, Disk, Memory, Tasks, Throttling, Usage};
use super::{read_pressure, read_tasks};

/// The unified hierarchy.
#[derive(Debug)]
pub(super) struct V2 {
    root: PathBuf,
}

impl V2 {
    /// The hierarchy at `root`, when it is one.
    pub(super) fn find(root: &Path) -> Option<V2> {
        root.join("cgroup.controllers").exists().then(|| V2 { root: root.to_owned() })
    }

    pub(super) fn tree(&self) -> &Path {
        &self.root
    }

    pub(super) fn read(&self, cgroup: &str, files: &mut Files) -> Usage {
        let disks = files.read(&self.root, cgroup, "io.stat").map(parse_io_stat);
        Usage {
            cpu: self.cpu(cgroup, files),
            memory: self.memory(cgroup, files),
            disks: disks.unwrap_or_default(),
            tasks: self.tasks(cgroup, files),
            pressure: read_pressure(&self.root, cgroup, files),
        }
    }

    fn cpu(&self, cgroup: &str, files: &mut Files) -> Cpu {
        let stat = files.read(&self.root, cgroup, "cpu.stat").map(parse_cpu_stat);
        let mut cpu = stat.unwrap_or_default();
        let weight = files.number(&self.root, cgroup, "cpu.weight");
        cpu.shares = weight.and_then(shares_from_weight);
        if let Some(text) = files.read(&self.root, cgroup, "cpu.max") {
            (cpu.quota, cpu.period) = parse_cpu_max(text);
        }
        if cpu.quota.is_none() {
            cpu.throttling = Throttling::default();
        }
        cpu
    }

    fn memory(&self, cgroup: &str, files: &mut Files) -> Memory {
        let dir = &self.root;
        let stat = files.read(dir, cgroup, "memory.stat").map(parse_memory_stat);
        let mut memory = stat.unwrap_or_default();
        if let Some(text) = files.read(dir, cgroup, "memory.events") {
            parse_memory_events(text, &mut memory);
        }
        memory.usage = files.number(dir, cgroup, "memory.current").or_else(|| {
            let whole = memory.rss?.checked_add(memory.cache?);
            whole.filter(|_| cgroup == "/")
        });
        memory.peak = files.number(dir, cgroup, "memory.peak");
        memory.swap = files.number(dir, cgroup, "memory.swap.current");
        memory.limit = files.limit(dir, cgroup, "memory.max");
        memory.swap_limit = files.limit(dir, cgroup, "memory.swap.max");
        // runc writes a reservation to memory.low, whatever memory.min says.
        memory.reservation = files.limit(dir, cgroup, "memory.low");
        memory
    }

    fn tasks(&self, cgroup: &str, files: &mut Files) -> Tasks {
        Tasks {
            threads: files.number(&self.root, cgroup, "pids.current"),
            threads_limit: files.limit(&self.root, cgroup, "pids.max"),
            ..read_tasks(&self.root, cgroup, files)
        }
    }
}

fn parse_cpu_stat(text: &[u8]) -> Cpu {
    let mut cpu = Cpu::default();
    for (key, value) in keyed(text) {
        let time = Some(value.saturating_mul(1000));
        match key {
            b"usage_usec" => cpu.total = time,
            b"user_usec" => cpu.user = time,
            b"system_usec" => cpu.system = time,
            b"nr_periods" => cpu.throttling.periods = Some(value),
            b"nr_throttled" => cpu.throttling.throttled = Some(value),
            b"throttled_usec" => cpu.throttling.time = time,
            _ => {}
        }
    }
    cpu
}

/// `QUOTA PERIOD` in microseconds; the quota is `max` when there is none.
fn parse_cpu_max(text: &[u8]) -> (Option<u64>, Option<u64>) {
    match split_once(text.trim_ascii(), b' ') {
        Some((quota, period)) => (parse_number(quota), parse_number(period)),
        None => (None, None),
    }
}

/// The inverse of what runc computes from `--cpu-shares`; rounding loses a little.
fn shares_from_weight(weight: u64) -> Option<u64> {
    (1..=10_000).contains(&weight).then(|| 2 + (weight - 1) * 262_142 / 9_999)
}

fn parse_memory_stat(text: &[u8]) -> Memory {
    let mut memory = Memory::default();
    for (key, value) in keyed(text) {
        let value = Some(value);
        match key {
            b"anon" => memory.rss = value,
            b"file" => memory.cache = value,
            b"file_mapped" => memory.mapped_file = value,
            b"inactive_file" => memory.inactive_file = value,
            b"pgfault" => memory.page_faults = value,
            b"pgmajfault" => memory.major_page_faults = value,
            _ => {}
        }
    }
    memory
}

fn parse_memory_events(text: &[u8], memory: &mut Memory) {
    for (key, value) in keyed(text) {
        match key {
            b"max" => memory.failures = Some(value),
            b"oom_kill" => memory.oom_kills = Some(value),
            _ => {}
        }
    }
}

/// Lines `MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N ...`.
fn parse_io_stat(text: &[u8]) -> Vec<Disk> {
    lines(text).filter_map(parse_io_line).collect()
}

fn parse_io_line(line: &[u8]) -> Option<Disk> {
    let mut words = line.split(|&byte| byte == b' ');
    let (major, minor) = parse_device(words.next()?)?;
    let mut disk = Disk { major, minor, ..Disk::default() };
    for (key, value) in words.filter_map(|word| split_once(word, b'=')) {
        let Some(value) = parse_number(value) else { continue };
        match key {
            b"rbytes" => disk.read_bytes = value,
            b"wbytes" => disk.written_bytes = value,
            b"rios" => disk.reads = value,
            b"wios" => disk.writes = value,
            _ => {}
        }
    }
    Some(disk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quota_of_max_is_none() {
        assert_eq!(parse_cpu_max(b"max 100000\n"), (None, Some(100_000)));
        assert_eq!(parse_cpu_max(b"50000 100000\n"), (Some(50_000), Some(100_000)));
        assert_eq!(parse_cpu_max(b"\n"), (None, None));
    }

    #[test]
    fn weights_become_shares() {
        assert_eq!((shares_from_weight(1), shares_from_weight(10_000)), (Some(2), Some(262_144)));
        assert_eq!(shares_from_weight(39), Some(998), "what 1024 shares come back as");
        assert_eq!((shares_from_weight(0), shares_from_weight(u64::MAX)), (None, None));
    }

    #[test]
    fn io_is_read_by_device() {
        let disks =
            parse_io_stat(b"254:0 rbytes=4096 wbytes=512 rios=1 wios=2 dbytes=0 dios=0\n\n");
        let disk = Disk {
            major: 254,
            minor: 0,
            read_bytes: 4096,
            written_bytes: 512,
            reads: 1,
            writes: 2,
        };
        assert_eq!(disks, [disk]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            let _ = (parse_cpu_stat(&text), parse_cpu_max(&text), parse_memory_stat(&text));
            parse_memory_events(&text, &mut Memory::default());
            prop_assert!(parse_io_stat(&text).len() <= text.len());
        }
    }
}
