//! Every collector over a host one of whose files never answers.
//!
//! A FIFO without a writer stands in for the file: who opens it waits, as for a server that is gone or a driver that
//! sleeps. The scrape goes on without that collector, no more than one thread waits, and when the file answers again
//! so does the collector. It must not know which collectors read what: the kernel tells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use recorded::{Copy, Watch};
use vigie_core::collect::{
    Bound, CollectError, Collector, CollectorDef, CollectorInfo, Registry, Scrape, Scraper,
    SlotState, Wish,
};
use vigie_core::metric::{Family, MetricSink};
use vigie_host::COLLECTORS;

mod recorded;

static WITNESS: Family = Family::gauge("witness", "Is shown whatever the others do.", []);

/// Comes after the collector that hangs.
struct Witness;

impl Collector for Witness {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        WITNESS.emit(sink, [], true);
        Ok(())
    }
}

/// What a client grants the scrape that meets the stuck file: a hang takes half of it.
const LITTLE: Duration = Duration::from_millis(400);
/// For what must come to pass on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// One collector and the witness.
struct Subject {
    scraper: Arc<Scraper>,
    runtime: tokio::runtime::Runtime,
}

impl Subject {
    fn new(copy: &Copy, def: &'static CollectorDef) -> Self {
        let witness = CollectorInfo::new("witness", "A test.");
        let witness = Bound::new(witness, || Ok(Box::new(Witness)));
        let subject = def.bind(Arc::new(copy.setting(def)));
        let registry = Registry::new(vec![subject, witness]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Subject { scraper: Arc::new(Scraper::new(registry)), runtime }
    }

    /// What became of the collector; the witness must be there.
    fn scrape(&self, timeout: Option<Duration>) -> SlotState {
        let page = self.runtime.block_on(self.scraper.scrape(Wish::default(), timeout)).unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("\nwitness 1\n"), "{page}");
        self.scraper.registry().report()[0].1.state.clone()
    }
}

/// Whether a scrape of `def` waited for `file`; either way all was well.
fn hangs_at(copy: &Copy, def: &'static CollectorDef, file: &Path) -> bool {
    let subject = Subject::new(copy, def);
    let content = std::fs::read(file).unwrap();
    std::fs::remove_file(file).unwrap();
    mkfifo(file, Mode::S_IRWXU).unwrap();
    let name = def.info.name;
    let waits = subject.scrape(Some(LITTLE)) == SlotState::TimedOut;
    if waits {
        for _ in 0..20 {
            assert_eq!(subject.scrape(None), SlotState::Busy, "{name}: {}", file.display());
        }
        assert!(lane_threads() <= 2, "{name}: one thread waits and one works");
    }
    let plain = file.with_extension("plain");
    std::fs::write(&plain, &content).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK);
    let mut fifo = options.open(file).unwrap();
    std::fs::rename(&plain, file).unwrap();
    // A pipe holds 64 KiB; what waits gets the beginning, and then the end.
    drop(fifo.write(&content));
    drop(fifo);
    let deadline = Instant::now() + SOON;
    while matches!(subject.scrape(None), SlotState::Busy) {
        assert!(Instant::now() < deadline, "{name}: {} answers again", file.display());
        std::thread::yield_now();
    }
    waits
}

fn lane_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("vigie-lane")).count()
}

/// The first and the last file that a collector opens, by name.
fn files_of(copy: &Copy, def: &CollectorDef) -> Vec<PathBuf> {
    let is_opened = |by: &Vec<&CollectorDef>| by.iter().any(|by| by.info.name == def.info.name);
    let files = copy.files.iter().filter(|(_, by)| is_opened(by)).map(|(file, _)| file.clone());
    let files: Vec<PathBuf> = files.collect();
    let mut ends: Vec<PathBuf> = files.first().into_iter().chain(files.last()).cloned().collect();
    ends.dedup();
    ends
}

#[test]
fn a_file_that_never_answers_costs_its_collector_and_one_thread() {
    let copy = Copy::new();
    let (mut subjects, mut waited) = (0, Vec::new());
    for def in COLLECTORS {
        let files = files_of(&copy, def);
        subjects += usize::from(!files.is_empty());
        // No `any`: each file has its turn.
        let hung: Vec<bool> = files.iter().map(|file| hangs_at(&copy, def, file)).collect();
        if hung.contains(&true) {
            waited.push(def.info.name);
        }
    }
    assert!(subjects > 60, "{subjects} collectors read files");
    assert!(waited.len() > 40, "the files do hold collectors up: {waited:?}");
}

/// The lane guards calls, and nothing guards a build: it reads no file but those that say whose view is the host's.
#[test]
fn a_collector_is_built_without_reading_the_host() {
    let copy = Copy::new();
    let mut watch = Watch::new(copy.files.keys());
    for def in COLLECTORS {
        drop((def.build)(&copy.setting(def)));
        let of_the_first_process =
            |path: &PathBuf| path.ancestors().any(|path| path.ends_with("proc/1"));
        let opened: Vec<_> =
            watch.opened().into_iter().filter(|path| !of_the_first_process(path)).collect();
        assert!(opened.is_empty(), "{} opens {opened:?}", def.info.name);
    }
}
