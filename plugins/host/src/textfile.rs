//! `textfile`: metrics that other programs left in files (`*.prom` in given directories).
//!
//! A file is parsed when it changes and judged whole; files are merged by family, and whatever
//! cannot be shown is reported with the files it stands in. It must not know how the text format
//! is read.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::config::FlagDef;
use vigie_core::encode::Exposition;
use vigie_core::metric::{Family, MetricSink};

use crate::glob::expand;

mod merge;

use merge::Merged;

static ERROR: Family = Family::gauge(
    "node_textfile_scrape_error",
    "Whether anything in the text files could not be shown.",
    [],
);
static MTIME: Family<1> = Family::gauge(
    "node_textfile_mtime_seconds",
    "When each text file that was read was last changed, in Unix time.",
    ["file"],
);

const DIRECTORY: &str = "collector.textfile.directory";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("textfile", "Metrics that other programs left in files.")
        .needs("a directory in --collector.textfile.directory")
        .reads("*.prom in --collector.textfile.directory")
        .flags(&[FlagDef::list(
            DIRECTORY,
            "",
            "Directory to read *.prom files from; wildcards are allowed, repeatable.",
        )])
        .families(&[ERROR.doc(), MTIME.doc()]),
    build: |setting| Ok(Box::new(TextFile::new(setting.flags.list(DIRECTORY)))),
};

struct TextFile {
    directories: Vec<String>,
    sources: Vec<Source>,
    merged: Merged,
    /// What was last logged: a trouble is logged when it begins.
    reported: HashSet<String>,
}

/// A file, as it was read last.
struct Source {
    path: PathBuf,
    /// Nothing while the file is too young to be told from its next version.
    stamp: Option<Stamp>,
    outcome: Result<Exposition, String>,
    /// Seconds of Unix time.
    changed: i64,
}

/// Device, inode, size, and the times of change of contents and inode.
type Stamp = (u64, u64, u64, [i64; 4]);

impl TextFile {
    fn new(directories: &[String]) -> Self {
        TextFile {
            directories: directories.iter().filter(|path| !path.is_empty()).cloned().collect(),
            sources: Vec::new(),
            merged: Merged::default(),
            reported: HashSet::new(),
        }
    }

    /// Reads what changed; returns the directories that could not be read.
    fn update(&mut self, now: SystemTime) -> Vec<String> {
        let (paths, mut troubles) = self.list();
        let known = self.sources.iter().map(|source| &source.path);
        let mut stale = !known.eq(&paths);
        if stale {
            let known = std::mem::take(&mut self.sources).into_iter();
            let mut known: HashMap<_, _> =
                known.map(|source| (source.path.clone(), source)).collect();
            let source = |path| known.remove(&path).unwrap_or_else(|| Source::unread(path));
            self.sources = paths.into_iter().map(source).collect();
        }
        for source in &mut self.sources {
            stale |= source.refresh(now);
        }
        if stale {
            self.merged = Merged::new(self.sources.iter().filter_map(Source::read));
        }
        let failed = self.sources.iter().filter_map(|source| source.outcome.as_ref().err());
        troubles.extend(failed.chain(self.merged.troubles()).cloned());
        troubles
    }

    /// The files in all directories, by directory and name.
    fn list(&self) -> (Vec<PathBuf>, Vec<String>) {
        let (mut paths, mut troubles) = (Vec::new(), Vec::new());
        let directories = self.directories.iter().flat_map(|pattern| expand(pattern));
        // Without doubled slashes, which a label would show.
        let directories = directories.map(|path| path.components().collect::<PathBuf>());
        let mut met = HashSet::new();
        for directory in directories.filter(|path| met.insert(path.clone())) {
            match names(&directory) {
                Ok(names) => paths.extend(names.iter().map(|name| directory.join(name))),
                Err(error) => {
                    let directory = directory.display();
                    troubles.push(format!("cannot read directory {directory}: {error}"));
                }
            }
        }
        (paths, troubles)
    }

    fn report(&mut self, troubles: Vec<String>) {
        for trouble in troubles.iter().filter(|trouble| !self.reported.contains(*trouble)) {
            tracing::warn!("textfile: {trouble}");
        }
        self.reported = troubles.into_iter().collect();
    }
}

impl Collector for TextFile {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let troubles = self.update(scrape.now);
        let read: Vec<_> = self.sources.iter().filter_map(Source::read).collect();
        self.merged.emit(&read, sink);
        let mut times = MTIME.open(sink);
        for source in self.sources.iter().filter(|source| source.outcome.is_ok()) {
            times.emit([&source.path.to_string_lossy()], source.changed);
        }
        ERROR.emit(sink, [], !troubles.is_empty());
        self.report(troubles);
        Ok(())
    }
}

fn names(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().ends_with(b".prom") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A file so much older than its reading cannot have been changed since under the same stamp.
const RIPE: Duration = Duration::from_secs(2);

impl Source {
    fn unread(path: PathBuf) -> Self {
        Source { path, stamp: None, outcome: Ok(Exposition::default()), changed: 0 }
    }

    fn read(&self) -> Option<(&Path, &Exposition)> {
        self.outcome.as_ref().ok().map(|page| (self.path.as_path(), page))
    }

    /// Reads the file if it changed; whether that changes what is shown.
    fn refresh(&mut self, now: SystemTime) -> bool {
        let metadata = std::fs::metadata(&self.path);
        let stamp = metadata.as_ref().ok().map(stamp);
        if stamp.is_some() && stamp == self.stamp {
            return false;
        }
        let was_shown = self.outcome.is_ok();
        // What cannot be read is tried again: the reason may go away and the file stay.
        self.stamp = None;
        let text = metadata.and_then(|metadata| Ok((read(&self.path, &metadata)?, metadata)));
        self.outcome = match text {
            Ok((text, metadata)) => {
                self.changed = metadata.mtime();
                let ripe = metadata.modified().is_ok_and(|changed| changed + RIPE < now);
                self.stamp = stamp.filter(|_| ripe);
                self.parse(&text)
            }
            Err(error) => Err(format!("cannot read {}: {error}", self.path.display())),
        };
        was_shown || self.outcome.is_ok()
    }

    fn parse(&self, text: &[u8]) -> Result<Exposition, String> {
        let path = self.path.display();
        let page = Exposition::parse(text).map_err(|error| format!("{path}, {error}"))?;
        match page.families.iter().find(|family| family.has_timestamps()) {
            Some(family) => Err(format!("{path}: timestamps are not supported ({})", family.name)),
            None => Ok(page),
        }
    }
}

fn stamp(file: &Metadata) -> Stamp {
    let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    (file.dev(), file.ino(), file.size(), times)
}

/// More than any program leaves; what is larger would only fill the memory.
const LARGEST: u64 = 32 << 20;

fn read(path: &Path, metadata: &Metadata) -> io::Result<Vec<u8>> {
    // Asked before the file is opened: to open a pipe or a device may wait or have effects.
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.len() > LARGEST {
        return Err(too_large());
    }
    read_opened(path)
}

/// Never waits, whatever the path has become since it was looked at.
fn read_opened(path: &Path) -> io::Result<Vec<u8>> {
    let file: File =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST { Err(too_large()) } else { Ok(text) }
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 32 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};
    use proptest::prelude::*;

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(&[]);
        for (name, text) in files {
            host.write(&format!("text/{name}"), text);
        }
        let directory = host.path("text");
        host.flag(DIRECTORY, &[&directory])
    }

    fn has_error(text: &str) -> bool {
        text.contains("node_textfile_scrape_error 1\n")
    }

    #[test]
    fn without_a_directory_there_is_nothing_and_no_error() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "node_textfile_scrape_error 0\n");
    }

    #[test]
    fn files_are_shown_with_their_times() {
        let host = host(&[("a.prom", "# TYPE x counter\nx{y=\"z\"} 1.5\n"), ("b.txt", "no 1\n")]);
        let text = lines(&host, &DEF);
        assert!(text.starts_with("x{y=\"z\"} 1.5\n"), "{text}");
        assert!(text.contains(&format!(
            "node_textfile_mtime_seconds{{file={:?}}} 1",
            host.path("text/a.prom")
        )));
        assert!(!text.contains("no 1") && !has_error(&text), "{text}");
    }

    #[test]
    fn a_missing_directory_is_an_error_and_wildcards_are_followed() {
        let host = Host::new(&[]).flag(DIRECTORY, &["/nowhere/at/all"]);
        assert_eq!(lines(&host, &DEF), "node_textfile_scrape_error 1\n");
        let host = Host::new(&[("t1/d/a.prom", "a 1\n"), ("t2/d/b.prom", "b 2\n")]);
        let pattern = host.path("t*/d");
        let text = lines(&host.flag(DIRECTORY, &[&pattern]), &DEF);
        assert!(text.starts_with("a 1\nb 2\n") && !has_error(&text), "{text}");
    }

    #[test]
    fn a_bad_file_is_rejected_whole_and_the_others_go_on() {
        for bad in ["x 1\nx{ 2\n", "x 1 1234\n", "x 1", "x{a=\"1\",a=\"2\"} 1\n"] {
            let host = host(&[("a.prom", bad), ("b.prom", "good 1\n")]);
            let text = lines(&host, &DEF);
            assert!(text.starts_with("good 1\n") && has_error(&text), "{bad}: {text}");
            assert!(!text.contains("a.prom"), "no time for a file that was not read: {text}");
        }
    }

    #[test]
    fn pipes_directories_and_dead_links_are_errors_at_once() {
        let host = host(&[("a.prom", "good 1\n")]);
        let at = |name: &str| host.dir.path().join("text").join(name);
        std::fs::create_dir(at("dir.prom")).unwrap();
        std::os::unix::fs::symlink("/nowhere", at("link.prom")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero.prom")).unwrap();
        std::os::unix::net::UnixListener::bind(at("socket.prom")).unwrap();
        nix::unistd::mkfifo(&at("fifo.prom"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = lines(&host, &DEF);
        assert!(text.starts_with("good 1\n") && has_error(&text), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            read_opened(&at("fifo.prom")).unwrap().is_empty(),
            "opened, a pipe does not wait either"
        );
    }

    #[test]
    fn long_lines_are_read_and_huge_files_are_refused() {
        let host = host(&[("a.prom", &format!("x{{y=\"{}\"}} 1\n", "z".repeat(1 << 20)))]);
        assert!(!has_error(&lines(&host, &DEF)));
        host.write("text/b.prom", vec![b'#'; LARGEST as usize + 1]);
        assert!(has_error(&lines(&host, &DEF)));
    }

    #[test]
    fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
        let host = host(&[("a.prom", "x 1\n")]);
        let mut collector = TextFile::new(&[host.path("text")]);
        let later = SystemTime::now() + Duration::from_secs(3600);
        assert!(collector.update(later).is_empty());
        assert!(!collector.sources[0].refresh(later), "its stamp is known");
        host.write("text/a.prom", "xy 1\n");
        assert!(collector.sources[0].refresh(later));
        host.write("text/a.prom", "x 1 2\n");
        assert_eq!(collector.update(later).len(), 1);
        assert!(!collector.sources[0].refresh(later), "nor is a bad one read again");
        std::fs::remove_file(host.dir.path().join("text/a.prom")).unwrap();
        assert!(collector.update(later).is_empty() && collector.sources.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_tried_again() {
        let host = host(&[("a.prom", "x 1\n")]);
        let mut source = Source::unread(host.dir.path().join("text"));
        let later = SystemTime::now() + Duration::from_secs(3600);
        assert!(source.refresh(later), "a directory is no file");
        assert!(source.outcome.is_err() && source.stamp.is_none(), "nothing is known of it");
        assert!(!source.refresh(later), "what is not shown stays so");
    }

    #[test]
    fn a_directory_that_is_named_twice_is_read_once() {
        let host = Host::new(&[("text/a.prom", "x 1\n")]);
        let directory = host.path("text");
        let again = [directory.as_str(), &format!("{directory}//"), &host.path("te*")];
        let text = lines(&host.flag(DIRECTORY, &again), &DEF);
        let mtime = format!("node_textfile_mtime_seconds{{file=\"{directory}/a.prom\"}}");
        assert!(text.matches(&mtime).count() == 1 && !has_error(&text), "{text}");
    }

    #[test]
    fn the_families_of_the_collector_are_its_own() {
        let host = host(&[("a.prom", "node_textfile_scrape_error 7\nx 1\n")]);
        assert_eq!(lines(&host, &DEF).matches("node_textfile_scrape_error").count(), 1);
        assert!(has_error(&lines(&host, &DEF)));
    }

    #[test]
    fn thousands_of_files_are_met_without_a_search() {
        let host = Host::new(&[]);
        for file in 0..3000 {
            host.write(&format!("text/b{file}.prom"), format!("x{{file=\"{file}\"}} 1\nsame 1\n"));
        }
        let directory = host.path("text");
        let host = host.flag(DIRECTORY, &[&directory]);
        let mut collector = host.build(&DEF).unwrap();
        for _ in 0..2 {
            let (text, _) = scrape(&mut *collector);
            assert!(has_error(&text) && text.matches("x{file").count() == 3000);
            host.write("text/a.prom", "moves_all 1\n");
        }
    }

    #[test]
    fn a_young_file_is_not_trusted() {
        let host = host(&[("a.prom", "x 1\n")]);
        let mut collector = TextFile::new(&[host.path("text")]);
        let now = SystemTime::now();
        collector.update(now);
        assert!(collector.sources[0].refresh(now), "it may have changed within its stamp");
    }

    #[test]
    fn troubles_are_logged_when_they_begin() {
        let host = host(&[("a.prom", "x")]);
        let mut collector = host.build(&DEF).unwrap();
        for _ in 0..2 {
            let (text, result) = scrape(&mut *collector);
            assert!(has_error(&text) && result.is_ok());
        }
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let host = host(&[("b.prom", "good 1\n")]);
            host.write("text/a.prom", bytes);
            prop_assert!(lines(&host, &DEF).contains("good 1\n"));
        }
    }
}
