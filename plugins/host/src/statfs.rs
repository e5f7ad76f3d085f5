//! Asking file systems for their sizes without waiting for dead ones (statfs(2)).
//!
//! A call on a dead NFS or FUSE mount blocks and cannot be interrupted, so such calls are made on a
//! helper thread: one that does not answer keeps its thread, and the rest go on in a fresh one. Mounts
//! that cannot hang are asked at once. It must not know metrics, nor which mounts there are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

mod helper;
mod local;

use helper::Helper;
pub(crate) use local::MayHang;

/// What statfs(2) says of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Bytes per block.
    pub(crate) block_size: u64,
    pub(crate) blocks: u64,
    pub(crate) blocks_free: u64,
    pub(crate) blocks_available: u64,
    pub(crate) files: u64,
    pub(crate) files_free: u64,
}

/// The answer for one mount.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Usage(Usage),
    Refused(Errno),
    /// Not within the time, or a call made before is still waiting.
    Timeout,
}

/// A mount to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    /// `major:minor`: mounts of one device hang together.
    pub(crate) device: String,
    /// See [`MayHang`].
    pub(crate) may_hang: bool,
}

/// Makes the call; replaced in tests.
pub(crate) type Stat = Arc<dyn Fn(&Path) -> Result<Usage, Errno> + Send + Sync>;

/// The real call.
pub(crate) fn statfs(path: &Path) -> Result<Usage, Errno> {
    let stat = nix::sys::statfs::statfs(path)?;
    Ok(Usage {
        block_size: u64::try_from(stat.block_size()).unwrap_or_default(),
        blocks: stat.blocks(),
        blocks_free: stat.blocks_free(),
        blocks_available: stat.blocks_available(),
        files: stat.files(),
        files_free: stat.files_free(),
    })
}

fn answer(stat: &Stat, target: &Target) -> Answer {
    stat(&target.path).map_or_else(Answer::Refused, Answer::Usage)
}

/// Asks mounts in order, with a limit for each.
pub(crate) struct Asker {
    stat: Stat,
    /// How long one mount may take.
    patience: Duration,
    /// How many threads may wait for dead mounts at once, besides the one that works.
    most_stuck: usize,
    helper: Option<Helper>,
    stuck: Vec<Stuck>,
}

/// A mount that did not answer in time.
struct Stuck {
    target: Target,
    /// Set by its thread when the call returns after all.
    returned: Arc<AtomicBool>,
    /// How often in a row it was late, and until when it is left alone after it returned.
    times: u32,
    rest_until: Instant,
}

/// A mount that keeps coming back late is left alone for at most so long.
const LONGEST_REST: Duration = Duration::from_secs(300);

impl Asker {
    pub(crate) fn new(stat: Stat, patience: Duration, most_stuck: usize) -> Self {
        Asker { stat, patience, most_stuck, helper: None, stuck: Vec::new() }
    }

    /// Answers for `targets`, in their order, before `deadline`.
    pub(crate) fn ask(
        &mut self,
        targets: &Arc<[Target]>,
        answers: &mut Vec<Answer>,
        deadline: Instant,
    ) -> io::Result<()> {
        answers.clear();
        self.stuck.retain(|stuck| targets.contains(&stuck.target) || !stuck.has_returned());
        while answers.len() < targets.len() {
            let next = answers.len();
            if !targets[next].may_hang {
                answers.push(answer(&self.stat, &targets[next]));
                continue;
            }
            let late = Instant::now() >= deadline || self.waiting() > self.most_stuck;
            if late || self.is_stuck(&targets[next]) {
                answers.push(Answer::Timeout);
                continue;
            }
            let ends = |target: &Target| !target.may_hang || self.is_stuck(target);
            let end = (next..targets.len()).find(|&i| ends(&targets[i]));
            self.ask_range(targets, next..end.unwrap_or(targets.len()), answers, deadline)?;
        }
        Ok(())
    }

    /// Has a helper answer for a range; stops after the first mount that does not.
    fn ask_range(
        &mut self,
        targets: &Arc<[Target]>,
        range: std::ops::Range<usize>,
        answers: &mut Vec<Answer>,
        deadline: Instant,
    ) -> io::Result<()> {
        let helper = match self.helper.take() {
            Some(helper) => helper,
            None => Helper::start(self.stat.clone())?,
        };
        let patience = self.patience;
        // Half of what is left, so that mounts after a dead one still get their turn.
        let limit = || patience.min(deadline.saturating_duration_since(Instant::now()) / 2);
        let first = range.start;
        match helper.run(targets, range, answers, limit) {
            None => {
                self.helper = Some(helper);
                self.stuck.retain(|s| !targets[first..answers.len()].contains(&s.target));
            }
            Some(returned) => {
                self.mark_stuck(&targets[answers.len()], returned);
                answers.push(Answer::Timeout);
            }
        }
        Ok(())
    }

    fn mark_stuck(&mut self, target: &Target, returned: Arc<AtomicBool>) {
        let known = self.stuck.iter().position(|stuck| stuck.target == *target);
        let times = known.map_or(0, |index| self.stuck.swap_remove(index).times) + 1;
        // The first return is believed at once, each further one for a doubled time less.
        let rest = if times == 1 { Duration::ZERO } else { self.patience * 2u32.pow(times.min(8)) };
        let rest_until = Instant::now() + rest.min(LONGEST_REST);
        self.stuck.push(Stuck { target: target.clone(), returned, times, rest_until });
    }

    /// Whether asking would only wait for a call that is waiting already.
    fn is_stuck(&self, target: &Target) -> bool {
        let now = Instant::now();
        self.stuck.iter().any(|stuck| {
            if stuck.has_returned() {
                stuck.target == *target && now < stuck.rest_until
            } else {
                stuck.target.path == target.path || stuck.target.device == target.device
            }
        })
    }

    /// Threads that wait for a dead mount.
    fn waiting(&self) -> usize {
        self.stuck.iter().filter(|stuck| !stuck.has_returned()).count()
    }
}

impl Stuck {
    fn has_returned(&self) -> bool {
        self.returned.load(Ordering::Acquire)
    }
}

/// The words Go has for an error, which node_exporter puts into the label `device_error`.
pub(crate) fn message(errno: Errno) -> &'static str {
    match errno {
        Errno::EACCES => "permission denied",
        Errno::EAGAIN => "resource temporarily unavailable",
        Errno::EBUSY => "device or resource busy",
        Errno::ECONNABORTED => "software caused connection abort",
        Errno::ECONNREFUSED => "connection refused",
        Errno::ECONNRESET => "connection reset by peer",
        Errno::EHOSTDOWN => "host is down",
        Errno::EHOSTUNREACH => "no route to host",
        Errno::EINTR => "interrupted system call",
        Errno::EINVAL => "invalid argument",
        Errno::EIO => "input/output error",
        Errno::EKEYEXPIRED => "key has expired",
        Errno::ELOOP => "too many levels of symbolic links",
        Errno::ENAMETOOLONG => "file name too long",
        Errno::ENETUNREACH => "network is unreachable",
        Errno::ENODEV => "no such device",
        Errno::ENOENT => "no such file or directory",
        Errno::ENOKEY => "required key not available",
        Errno::ENOMEM => "cannot allocate memory",
        Errno::ENOSYS => "function not implemented",
        Errno::ENOTCONN => "transport endpoint is not connected",
        Errno::ENOTDIR => "not a directory",
        Errno::ENXIO => "no such device or address",
        Errno::EOVERFLOW => "value too large for defined data type",
        Errno::EPERM => "operation not permitted",
        Errno::EREMOTEIO => "remote I/O error",
        Errno::ESHUTDOWN => "cannot send after transport endpoint shutdown",
        Errno::ESTALE => "stale NFS file handle",
        Errno::ETIMEDOUT => "connection timed out",
        Errno::EUCLEAN => "structure needs cleaning",
        other => other.desc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Condvar, Mutex};

    /// File systems by name: `dead*` block until they are healed, `bad` refuses.
    #[derive(Default)]
    struct World {
        healed: Mutex<bool>,
        changed: Condvar,
        calls_to_dead: AtomicUsize,
    }

    impl World {
        fn stat(self: &Arc<Self>) -> Stat {
            let world = self.clone();
            Arc::new(move |path| {
                let name = path.to_str().unwrap();
                if name.starts_with("dead") {
                    world.calls_to_dead.fetch_add(1, Ordering::SeqCst);
                    let mut healed = world.healed.lock().unwrap();
                    while !*healed {
                        healed = world.changed.wait(healed).unwrap();
                    }
                }
                if name == "bad" { Err(Errno::EACCES) } else { Ok(usage()) }
            })
        }

        fn heal(&self) {
            *self.healed.lock().unwrap() = true;
            self.changed.notify_all();
        }
    }

    fn usage() -> Usage {
        Usage { block_size: 4096, blocks: 7, ..Usage::default() }
    }

    fn targets(names: &[&str]) -> Arc<[Target]> {
        let target =
            |name: &&str| Target { path: name.into(), device: format!("0:{name}"), may_hang: true };
        names.iter().map(target).collect()
    }

    fn ask(asker: &mut Asker, targets: &Arc<[Target]>) -> Vec<Answer> {
        let mut answers = Vec::new();
        asker.ask(targets, &mut answers, Instant::now() + Duration::from_secs(60)).unwrap();
        answers
    }

    const GOOD: Answer = Answer::Usage(Usage {
        block_size: 4096,
        blocks: 7,
        blocks_free: 0,
        blocks_available: 0,
        files: 0,
        files_free: 0,
    });
    const PATIENCE: Duration = Duration::from_millis(40);

    #[test]
    fn answers_come_in_order_and_errors_are_answers() {
        let mut asker = Asker::new(Arc::<World>::default().stat(), PATIENCE * 100, 4);
        let targets = targets(&["a", "bad", "b"]);
        for _ in 0..3 {
            assert_eq!(ask(&mut asker, &targets), [GOOD, Answer::Refused(Errno::EACCES), GOOD]);
        }
        assert!(ask(&mut asker, &Arc::from([])).is_empty());
    }

    #[test]
    fn a_dead_mount_costs_one_thread_and_nobody_else_anything() {
        let world = Arc::<World>::default();
        let mut asker = Asker::new(world.stat(), PATIENCE, 4);
        let targets = targets(&["a", "dead", "b"]);
        for _ in 0..50 {
            assert_eq!(ask(&mut asker, &targets), [GOOD, Answer::Timeout, GOOD]);
        }
        assert_eq!((asker.waiting(), world.calls_to_dead.load(Ordering::SeqCst)), (1, 1));
        world.heal();
        let deadline = Instant::now() + Duration::from_secs(30);
        while ask(&mut asker, &targets) != [GOOD; 3] {
            assert!(Instant::now() < deadline, "the mount is asked again once its call returned");
            std::thread::yield_now();
        }
        assert_eq!(asker.waiting(), 0);
    }

    #[test]
    fn mounts_that_cannot_hang_are_asked_without_a_thread() {
        let world = Arc::<World>::default();
        let mut asker = Asker::new(world.stat(), PATIENCE, 4);
        let mut list = targets(&["a", "bad", "b"]).to_vec();
        list.iter_mut().for_each(|target| target.may_hang = false);
        let answers = [GOOD, Answer::Refused(Errno::EACCES), GOOD];
        assert_eq!(ask(&mut asker, &list.clone().into()), answers);
        assert!(asker.helper.is_none());
        list.insert(1, targets(&["dead"])[0].clone());
        list.push(targets(&["c"])[0].clone());
        let answers = [GOOD, Answer::Timeout, answers[1], GOOD, GOOD];
        assert_eq!(ask(&mut asker, &list.into()), answers, "and in their order");
        world.heal();
    }

    #[test]
    fn mounts_of_a_dead_device_are_not_asked() {
        let world = Arc::<World>::default();
        let mut asker = Asker::new(world.stat(), PATIENCE, 4);
        let mut list = targets(&["dead1", "dead2", "a"]).to_vec();
        list[1].device = list[0].device.clone();
        assert_eq!(ask(&mut asker, &list.into()), [Answer::Timeout, Answer::Timeout, GOOD]);
        assert_eq!(world.calls_to_dead.load(Ordering::SeqCst), 1);
        world.heal();
    }

    #[test]
    fn the_number_of_stuck_threads_is_bounded() {
        let world = Arc::<World>::default();
        let mut asker = Asker::new(world.stat(), PATIENCE, 1);
        let targets = targets(&["dead1", "a", "dead2", "b", "dead3"]);
        assert_eq!(ask(&mut asker, &targets)[..3], [Answer::Timeout, GOOD, Answer::Timeout]);
        assert_eq!(ask(&mut asker, &targets), [Answer::Timeout; 5]);
        assert_eq!((asker.waiting(), world.calls_to_dead.load(Ordering::SeqCst)), (2, 2));
        world.heal();
    }

    #[test]
    fn a_near_deadline_shortens_the_patience() {
        let world = Arc::<World>::default();
        let mut asker = Asker::new(world.stat(), Duration::from_secs(3600), 4);
        let mut answers = Vec::new();
        let deadline = Instant::now() + Duration::from_millis(80);
        asker.ask(&targets(&["dead"]), &mut answers, deadline).unwrap();
        assert_eq!(answers, [Answer::Timeout]);
        world.heal();
    }

    #[test]
    fn errors_of_dead_programs_and_servers_have_the_words_of_go() {
        assert_eq!(message(Errno::ECONNABORTED), "software caused connection abort");
        assert_eq!(message(Errno::EKEYEXPIRED), "key has expired");
    }

    #[test]
    fn a_mount_that_is_late_again_and_again_is_left_alone_longer() {
        let mut asker = Asker::new(Arc::<World>::default().stat(), PATIENCE * 1000, 4);
        let target = targets(&["slow"])[0].clone();
        let late = || Arc::new(AtomicBool::new(true));
        asker.mark_stuck(&target, late());
        assert!(!asker.is_stuck(&target), "the first time it is believed at once");
        asker.mark_stuck(&target, late());
        assert!(asker.is_stuck(&target));
        for _ in 0..40 {
            asker.mark_stuck(&target, late());
        }
        assert!(asker.stuck[0].rest_until <= Instant::now() + LONGEST_REST);
    }
}
