//! Numbers in files whose reading takes long, read beside the scrapes.
//!
//! A scrape asks for a round, in which threads read every file once. Where rounds are quick the scrape waits for its
//! own; where they are not it takes the numbers of the round before, so that a scrape never sleeps with the kernel.
//! Threads sleep while nobody asks. It must not know what the numbers mean.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::parse;
use crate::sysfs::read_once;

/// A round that takes no longer is waited for.
const QUICK: Duration = Duration::from_millis(50);

/// An older number is not shown: rather wait for another.
const STALE: Duration = Duration::from_secs(60);

/// Files for which a thread is enough: at 50 ms each a round lasts less than two seconds.
const FILES_PER_THREAD: usize = 32;
const MOST_THREADS: usize = 8;

/// Threads that need no more than a path and a line.
const STACK: usize = 128 << 10;

/// The threads and their files; dropping it ends them, each after the read it is at.
#[derive(Debug)]
pub(super) struct Rounds(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Vec<PathBuf>,
    state: Mutex<State>,
    /// A round is to be read, or the threads are to end.
    asked: Condvar,
    /// A round is over.
    finished: Condvar,
}

#[derive(Debug)]
struct State {
    closed: bool,
    /// The next file of the round under way.
    next: usize,
    /// How many files of it are not read yet.
    left: usize,
    started: Instant,
    /// How long the last whole round took.
    took: Option<Duration>,
    /// For each file the last number and when it was read.
    read: Vec<Option<(u64, Instant)>>,
}

impl Rounds {
    /// Starts the threads; they read when asked.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(files: Vec<PathBuf>) -> io::Result<Self> {
        let threads = files.len().div_ceil(FILES_PER_THREAD).clamp(1, MOST_THREADS);
        let state = State {
            closed: false,
            next: files.len(),
            left: 0,
            started: Instant::now(),
            took: None,
            read: vec![None; files.len()],
        };
        let rounds = Rounds(Arc::new(Shared {
            files,
            state: Mutex::new(state),
            asked: Condvar::new(),
            finished: Condvar::new(),
        }));
        for _ in 0..threads {
            let shared = rounds.0.clone();
            let builder = thread::Builder::new().name("vigie-cpufreq".into()).stack_size(STACK);
            builder.spawn(move || shared.work())?;
        }
        Ok(rounds)
    }

    /// Asks for a round, and returns the number in each file. Where that would show numbers that are too old, it
    /// waits for the round, but not beyond `until`; where rounds are quick, for a moment; and else not at all. A
    /// round that an earlier call asked for is not waited for: a read that hangs is met once.
    pub(super) fn values(&self, until: Instant) -> Vec<Option<u64>> {
        let mut state = self.0.lock();
        if state.left == 0 {
            let now = Instant::now();
            let patience = state.patience(now).min(until.saturating_duration_since(now));
            (state.next, state.left, state.started) = (0, self.0.files.len(), now);
            // One thread is cheapest where it is enough.
            match state.is_quick() {
                true => self.0.asked.notify_one(),
                false => self.0.asked.notify_all(),
            }
            let waited =
                self.0.finished.wait_timeout_while(state, patience, |state| state.left > 0);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            // A thread alone may be stuck: let the others help.
            self.0.asked.notify_all();
        }
        let now = Instant::now();
        let fresh = |read: &Option<(u64, Instant)>| read.filter(|(_, at)| now - *at < STALE);
        state.read.iter().map(|read| Some(fresh(read)?.0)).collect()
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.asked.notify_all();
    }
}

impl State {
    /// How long to wait for a round that begins now: as long as may be where the last whole round is too old to be
    /// shown, for a moment where that is enough, and else not at all.
    fn patience(&self, now: Instant) -> Duration {
        let finished = self.took.map(|took| self.started + took);
        let is_recent = finished.is_some_and(|at| now.saturating_duration_since(at) < STALE);
        match (is_recent, self.is_quick()) {
            (false, _) => Duration::MAX,
            (true, true) => QUICK,
            (true, false) => Duration::ZERO,
        }
    }

    fn is_quick(&self) -> bool {
        self.took.is_some_and(|took| took <= QUICK)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: takes the next file of the round, as long as there is one.
    fn work(&self) {
        let mut state = self.lock();
        while !state.closed {
            let at = state.next;
            let Some(path) = self.files.get(at) else {
                state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.next += 1;
            drop(state);
            let mut buffer = [0; 64];
            let text = read_once(path, &mut buffer).map(<[u8]>::trim_ascii);
            let number = text.ok().and_then(parse::number);
            state = self.lock();
            let now = Instant::now();
            if let Some(read) = state.read.get_mut(at) {
                *read = number.map(|number| (number, now));
            }
            state.left = state.left.saturating_sub(1);
            if state.left == 0 {
                state.took = Some(now - state.started);
                self.finished.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::sync::Weak;

    const LONG: Duration = Duration::from_secs(30);

    fn long() -> Instant {
        Instant::now() + LONG
    }

    fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
        let deadline = long();
        loop {
            if let Some(found) = poll() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn the_first_round_is_waited_for_and_later_ones_follow_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..100).map(|at| dir.path().join(at.to_string())).collect();
        for (at, file) in files.iter().enumerate() {
            std::fs::write(file, format!("{at}\n")).unwrap();
        }
        std::fs::write(&files[7], "<unknown>\n").unwrap();
        let rounds = Rounds::start(files.clone()).unwrap();
        let values = rounds.values(long());
        assert_eq!((values[99], values[7], values.len()), (Some(99), None, 100));
        std::fs::write(&files[7], "8\n").unwrap();
        std::fs::remove_file(&files[99]).unwrap();
        until("the files are read again", || {
            let values = rounds.values(long());
            (values[7] == Some(8) && values[99].is_none()).then_some(())
        });
    }

    /// A pipe answers when the test writes, as a sleeping kernel does when it has measured.
    #[test]
    fn a_read_that_takes_long_is_not_waited_for_and_is_shown_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let (slow, quick) = (dir.path().join("slow"), dir.path().join("quick"));
        mkfifo(&slow, Mode::S_IRWXU).unwrap();
        std::fs::write(&quick, "5\n").unwrap();
        let rounds = Rounds::start(vec![quick, slow.clone()]).unwrap();
        until("the other file is read", || {
            (rounds.values(Instant::now()) == [Some(5), None]).then_some(())
        });
        // Were this waited for, it would be so for half a minute, and in vain.
        assert_eq!(rounds.values(long()), [Some(5), None]);
        std::fs::write(&slow, "800000\n").unwrap();
        until("the slow file is shown", || {
            (rounds.values(Instant::now()) == [Some(5), Some(800_000)]).then_some(())
        });
    }

    #[test]
    fn threads_end_with_the_rounds() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("x"); FILES_PER_THREAD + 1];
        let rounds = Rounds::start(files).unwrap();
        assert!(rounds.values(long()).iter().all(Option::is_none));
        let shared: Weak<Shared> = Arc::downgrade(&rounds.0);
        assert!(shared.strong_count() == 3, "two threads and the rounds themselves");
        drop(rounds);
        until("the threads end", || shared.upgrade().is_none().then_some(()));
    }
}
