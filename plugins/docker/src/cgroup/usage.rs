//! What one cgroup has used and may use, in one shape for v1 and v2.
//!
//! It is what the collector turns into cAdvisor's families. `None` always means that the kernel
//! says nothing about it here; it must not know where a number came from.

use super::file::Stall;

/// The figures of one cgroup at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) disks: Vec<Disk>,
    pub(crate) tasks: Tasks,
    pub(crate) pressure: Pressure,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// Per core, v1 only.
    pub(crate) per_core: Vec<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) user: Option<u64>,
    pub(crate) system: Option<u64>,
    /// Relative weight, 1024 by default.
    pub(crate) shares: Option<u64>,
    /// Microseconds allowed in each period; `None` without a quota.
    pub(crate) quota: Option<u64>,
    /// Microseconds.
    pub(crate) period: Option<u64>,
    pub(crate) throttling: Throttling,
}

/// What the quota did; meaningless without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Throttling {
    pub(crate) periods: Option<u64>,
    pub(crate) throttled: Option<u64>,
    /// Nanoseconds.
    pub(crate) time: Option<u64>,
}

/// Memory in bytes; a limit of 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Page cache included.
    pub(crate) usage: Option<u64>,
    pub(crate) peak: Option<u64>,
    /// How often the limit was hit.
    pub(crate) failures: Option<u64>,
    pub(crate) limit: Option<u64>,
    /// v1: memory and swap together; v2: swap alone.
    pub(crate) swap_limit: Option<u64>,
    pub(crate) reservation: Option<u64>,
    /// Anonymous memory.
    pub(crate) rss: Option<u64>,
    /// Page cache, tmpfs and shared memory included.
    pub(crate) cache: Option<u64>,
    pub(crate) swap: Option<u64>,
    pub(crate) mapped_file: Option<u64>,
    pub(crate) inactive_file: Option<u64>,
    pub(crate) page_faults: Option<u64>,
    pub(crate) major_page_faults: Option<u64>,
    /// Processes killed for want of memory.
    pub(crate) oom_kills: Option<u64>,
}

impl Memory {
    /// Usage without the page cache that could be dropped first, never below zero.
    pub(crate) fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.inactive_file.unwrap_or(0)))
    }
}

/// Traffic with one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tasks {
    /// `None` also where nobody is listed.
    pub(crate) processes: Option<u64>,
    pub(crate) threads: Option<u64>,
    /// 0 is none.
    pub(crate) threads_limit: Option<u64>,
    /// A process to look at for what belongs to the whole container, by its id in our namespace.
    pub(crate) first: Option<u64>,
}

impl Tasks {
    /// Whether anything runs. Threads count those of cgroups below as well, where a container with
    /// an init system of its own keeps all its processes.
    pub(crate) fn are_alive(&self) -> bool {
        self.threads.or(self.processes).is_some_and(|count| count > 0)
    }
}

/// Time lost waiting, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) cpu: Stall,
    pub(crate) memory: Stall,
    pub(crate) io: Stall,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_in_cgroups_below_are_alive_too() {
        let tasks = |processes, threads| Tasks { processes, threads, ..Tasks::default() };
        assert!(tasks(None, Some(3)).are_alive() && tasks(Some(1), None).are_alive());
        assert!(!tasks(None, Some(0)).are_alive() && !tasks(None, None).are_alive());
    }

    #[test]
    fn the_working_set_is_never_negative() {
        let memory = Memory { usage: Some(5), inactive_file: Some(9), ..Memory::default() };
        assert_eq!(memory.working_set(), Some(0));
        assert_eq!(Memory { inactive_file: Some(9), ..Memory::default() }.working_set(), None);
    }
}
