//! cgroup v1: one hierarchy per controller, one container in each of them.
//!
//! Hybrid hosts mount the unified hierarchy beside them, without controllers: it adds processor
//! time in microseconds and the pressure files. It must not know names or labels.
//! (Linux `Documentation/admin-guide/cgroup-v1`.)

use std::path::{Path, PathBuf};

use super::file::{Files, keyed, lines, numbers, parse_device, parse_number};
use super::usage::{Cpu, Disk, Memory, Tasks, Throttling, Usage};
use super::{read_pressure, read_tasks};

/// `cpuacct.stat` counts ticks of USER_HZ, which is 100 on every architecture.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// The hierarchies that are mounted.
#[derive(Debug)]
pub(super) struct V1 {
    cpu: PathBuf,
    cpuacct: PathBuf,
    memory: PathBuf,
    blkio: PathBuf,
    pids: PathBuf,
    unified: PathBuf,
}

impl V1 {
    /// The hierarchies below `root`, when there is any.
    pub(super) fn find(root: &Path) -> Option<V1> {
        let controller = |name: &str| {
            let plain = root.join(name);
            // Mounted together the two share a directory; the links beside it may be missing.
            let joint = root.join("cpu,cpuacct");
            if !plain.exists() && name.starts_with("cpu") && joint.exists() { joint } else { plain }
        };
        let v1 = V1 {
            cpu: controller("cpu"),
            cpuacct: controller("cpuacct"),
            memory: controller("memory"),
            blkio: controller("blkio"),
            pids: controller("pids"),
            unified: root.join("unified"),
        };
        v1.tree().is_dir().then_some(v1)
    }

    /// The hierarchy in which containers are looked for.
    pub(super) fn tree(&self) -> &Path {
        let candidates = [&self.cpuacct, &self.memory, &self.pids];
        candidates.into_iter().find(|dir| dir.is_dir()).unwrap_or(&self.cpu)
    }

    pub(super) fn read(&self, cgroup: &str, files: &mut Files) -> Usage {
        Usage {
            cpu: self.cpu(cgroup, files),
            memory: self.memory(cgroup, files),
            disks: self.disks(cgroup, files),
            tasks: self.tasks(cgroup, files),
            pressure: read_pressure(&self.unified, cgroup, files),
        }
    }

    fn cpu(&self, cgroup: &str, files: &mut Files) -> Cpu {
        let mut cpu = Cpu::default();
        if let Some(text) = files.read(&self.cpuacct, cgroup, "cpuacct.usage_percpu") {
            cpu.per_core.extend(numbers(text));
        }
        if cpu.per_core.is_empty() {
            cpu.total = files.number(&self.cpuacct, cgroup, "cpuacct.usage");
        }
        if let Some(text) = files.read(&self.cpuacct, cgroup, "cpuacct.stat") {
            for (key, ticks) in keyed(text) {
                let time = Some(ticks.saturating_mul(NANOSECONDS_PER_TICK));
                match key {
                    b"user" => cpu.user = time,
                    b"system" => cpu.system = time,
                    _ => {}
                }
            }
        }
        self.finer_times(cgroup, files, &mut cpu);
        cpu.shares = files.number(&self.cpu, cgroup, "cpu.shares");
        cpu.period = files.number(&self.cpu, cgroup, "cpu.cfs_period_us");
        // -1 stands for no quota, which is no number here.
        cpu.quota = files.number(&self.cpu, cgroup, "cpu.cfs_quota_us");
        if cpu.quota.is_some() {
            let text = files.read(&self.cpu, cgroup, "cpu.stat");
            cpu.throttling = text.map(parse_throttling).unwrap_or_default();
        }
        cpu
    }

    /// The unified hierarchy has user and system time in microseconds, not in ticks. Where a runtime
    /// made the directory there but moved no process into it, the ticks are ahead and stand.
    fn finer_times(&self, cgroup: &str, files: &mut Files, cpu: &mut Cpu) {
        let Some(text) = files.read(&self.unified, cgroup, "cpu.stat") else { return };
        for (key, time) in keyed(text) {
            let time = Some(time.saturating_mul(1000));
            match key {
                b"user_usec" => cpu.user = cpu.user.max(time),
                b"system_usec" => cpu.system = cpu.system.max(time),
                _ => {}
            }
        }
    }

    fn memory(&self, cgroup: &str, files: &mut Files) -> Memory {
        let dir = &self.memory;
        let stat = files.read(dir, cgroup, "memory.stat").map(parse_memory_stat);
        let oom = files.read(dir, cgroup, "memory.oom_control");
        Memory {
            oom_kills: oom.and_then(parse_oom_control),
            usage: files.number(dir, cgroup, "memory.usage_in_bytes"),
            peak: files.number(dir, cgroup, "memory.max_usage_in_bytes"),
            failures: files.number(dir, cgroup, "memory.failcnt"),
            limit: files.limit(dir, cgroup, "memory.limit_in_bytes"),
            swap_limit: files.limit(dir, cgroup, "memory.memsw.limit_in_bytes"),
            reservation: files.limit(dir, cgroup, "memory.soft_limit_in_bytes"),
            ..stat.unwrap_or_default()
        }
    }

    fn disks(&self, cgroup: &str, files: &mut Files) -> Vec<Disk> {
        let mut disks = Vec::new();
        if let Some(text) =
            files.read(&self.blkio, cgroup, "blkio.throttle.io_service_bytes_recursive")
        {
            for (at, operation, bytes) in operations(text) {
                match operation {
                    b"Read" => disk(&mut disks, at).read_bytes = bytes,
                    b"Write" => disk(&mut disks, at).written_bytes = bytes,
                    _ => {}
                }
            }
        }
        if let Some(text) = files.read(&self.blkio, cgroup, "blkio.throttle.io_serviced_recursive")
        {
            for (at, operation, count) in operations(text) {
                match operation {
                    b"Read" => disk(&mut disks, at).reads = count,
                    b"Write" => disk(&mut disks, at).writes = count,
                    _ => {}
                }
            }
        }
        disks
    }

    fn tasks(&self, cgroup: &str, files: &mut Files) -> Tasks {
        Tasks {
            threads: files.number(&self.pids, cgroup, "pids.current"),
            threads_limit: files.limit(&self.pids, cgroup, "pids.max"),
            ..read_tasks(self.tree(), cgroup, files)
        }
    }
}

fn parse_throttling(text: &[u8]) -> Throttling {
    let mut throttling = Throttling::default();
    for (key, value) in keyed(text) {
        match key {
            b"nr_periods" => throttling.periods = Some(value),
            b"nr_throttled" => throttling.throttled = Some(value),
            b"throttled_time" => throttling.time = Some(value),
            _ => {}
        }
    }
    throttling
}

/// The `total_` keys, which count the cgroups below as well.
fn parse_memory_stat(text: &[u8]) -> Memory {
    let mut memory = Memory::default();
    for (key, value) in keyed(text) {
        let value = Some(value);
        match key {
            b"total_rss" => memory.rss = value,
            b"total_cache" => memory.cache = value,
            b"total_swap" => memory.swap = value,
            b"total_mapped_file" => memory.mapped_file = value,
            b"total_inactive_file" => memory.inactive_file = value,
            b"total_pgfault" => memory.page_faults = value,
            b"total_pgmajfault" => memory.major_page_faults = value,
            _ => {}
        }
    }
    memory
}

fn parse_oom_control(text: &[u8]) -> Option<u64> {
    keyed(text).find_map(|(key, value)| (key == b"oom_kill").then_some(value))
}

/// Lines `MAJOR:MINOR OPERATION NUMBER`; the total at the end has no device.
fn operations(text: &[u8]) -> impl Iterator<Item = ((u32, u32), &[u8], u64)> {
    lines(text).filter_map(|line| {
        let mut words = line.split(|&byte| byte == b' ');
        let device = parse_device(words.next()?)?;
        Some((device, words.next()?, parse_number(words.next()?)?))
    })
}

/// The entry of a device, made when it is new. Machines have few devices: a list is enough.
fn disk(disks: &mut Vec<Disk>, (major, minor): (u32, u32)) -> &mut Disk {
    let known = disks.iter().position(|disk| (disk.major, disk.minor) == (major, minor));
    let at = known.unwrap_or_else(|| {
        disks.push(Disk { major, minor, ..Disk::default() });
        disks.len() - 1
    });
    &mut disks[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operations_without_a_device_are_passed_over() {
        let text = b"8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\nTotal 4608\n8:x Read 1\n";
        let all: Vec<_> = operations(text).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[1], ((8, 0), &b"Write"[..], 512));
    }

    #[test]
    fn oom_kills_are_counted_by_the_kernel() {
        assert_eq!(parse_oom_control(b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), Some(2));
        assert_eq!(parse_oom_control(b"oom_kill_disable 0\n"), None, "kernels before 4.13");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            let _ = (parse_throttling(&text), parse_memory_stat(&text), parse_oom_control(&text));
            let mut disks = Vec::new();
            for (at, _, bytes) in operations(&text) {
                disk(&mut disks, at).reads = bytes;
            }
        }
    }
}
