//! The processes of PROC: one directory each, with a file of figures (proc_pid_stat(5)).
//!
//! Processes end while they are read, which is no error. It must not know which of them are of interest.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::PathBuf;

use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use procfs::FromRead;
use procfs::process::Stat;
use vigie_core::collect::CollectError;

use crate::parse::shown;
use crate::sysfs::Attributes;

/// Reads processes, one after the other.
pub(crate) struct Processes {
    root: PathBuf,
    /// `PID/stat` of the process at hand.
    name: String,
    file: Attributes,
    /// Whether `root` is the kernel's own file system rather than a recorded tree.
    is_procfs: bool,
}

impl Processes {
    pub(crate) fn new(root: PathBuf) -> Self {
        let is_procfs =
            statfs(&root).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC);
        Processes { root, name: String::new(), file: Attributes::new(), is_procfs }
    }

    /// The numbers of all processes.
    pub(crate) fn list(&self) -> Result<Vec<u32>, CollectError> {
        numbers(&self.root).map_err(|error| CollectError::read(&self.root, error))
    }

    /// The numbers of the threads of a process; none when it has ended.
    pub(crate) fn threads(&self, process: u32) -> Result<Vec<u32>, CollectError> {
        let directory = self.root.join(format!("{process}/task"));
        match numbers(&directory) {
            Err(error) if is_gone(&error) => Ok(Vec::new()),
            other => other.map_err(|error| CollectError::read(directory, error)),
        }
    }

    /// The figures of a process; none when it has ended.
    pub(crate) fn stat(&mut self, process: u32) -> Result<Option<Stat>, CollectError> {
        self.read_stat(format_args!("{process}/stat"))
    }

    /// The figures of one thread; none when it has ended.
    pub(crate) fn thread_stat(
        &mut self,
        process: u32,
        thread: u32,
    ) -> Result<Option<Stat>, CollectError> {
        self.read_stat(format_args!("{process}/task/{thread}/stat"))
    }

    fn read_stat(&mut self, name: std::fmt::Arguments<'_>) -> Result<Option<Stat>, CollectError> {
        self.name.clear();
        // Writing to a string cannot fail.
        let _ = self.name.write_fmt(name);
        match self.file.read(&self.root, &self.name) {
            Ok(line) => match parse(line) {
                Ok(stat) => Ok(Some(stat)),
                Err(what) => Err(CollectError::parse(self.root.join(&self.name), 1, what)),
            },
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(CollectError::read(self.root.join(&self.name), error)),
        }
    }

    /// How many files a process has open; none when it has ended or belongs to another user.
    pub(crate) fn open_files(&self, process: u32) -> Option<u64> {
        let directory = self.root.join(format!("{process}/fd"));
        // Since Linux 6.2 the size of the directory is the number of its entries; before it is 0.
        let size = || fs::metadata(&directory).map_or(0, |metadata| metadata.len());
        match if self.is_procfs { size() } else { 0 } {
            0 => fs::read_dir(&directory).ok().map(|entries| entries.count() as u64),
            known => Some(known),
        }
    }
}

fn numbers(directory: &std::path::Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Reads a line such as `12 (name) S 1 ...`.
fn parse(line: &[u8]) -> Result<Stat, String> {
    let broken = || format!("expected the figures of a process, found {}", shown(line));
    if !has_frame(line) {
        return Err(broken());
    }
    Stat::from_read(line).map_err(|_| broken())
}

/// `procfs` relies on these brackets: the name between the first and the last may hold any byte.
fn has_frame(line: &[u8]) -> bool {
    let (Some(open), Some(close)) = (memchr::memchr(b'(', line), memchr::memrchr(b')', line))
    else {
        return false;
    };
    let (Some(number), Some(behind)) = (line[..open].strip_suffix(b" "), line.get(close + 1..))
    else {
        return false;
    };
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    let has_state = matches!(behind, [b' ', state, ..] if state.is_ascii_alphabetic());
    is_number && open < close && has_state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use proptest::prelude::*;

    /// A line with some figures, the others 0.
    fn line(name: &str, state: char, utime: u64, threads: u64, start: u64) -> String {
        let zeros = "0 ".repeat(28);
        format!(
            "12 ({name}) {state} 1 12 12 0 -1 0 7 0 3 0 {utime} 5 0 0 20 0 {threads} 0 {start} 4096 2 {zeros}\n"
        )
    }

    #[test]
    fn names_may_hold_blanks_and_brackets() {
        let stat = parse(line("a) (b) R 1", 'S', 9, 2, 77).trim_ascii().as_bytes()).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state), ("a) (b) R 1", 'S'));
        assert_eq!((stat.utime, stat.stime, stat.num_threads, stat.starttime), (9, 5, 2, 77));
        assert_eq!((stat.minflt, stat.majflt, stat.vsize, stat.rss), (7, 3, 4096, 2));
    }

    #[test]
    fn whatever_is_no_process_is_refused() {
        for bad in [
            "",
            "12",
            "12 )( S",
            "(a) S 1",
            "12(a) S 1",
            "12 (a)",
            "12 (a) ",
            "12 (a)xS",
            "x (a) S 1",
            "12 (a) S x",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn processes_that_are_gone_are_no_error() {
        let host = Host::new(&[
            ("proc/12/stat", &line("a", 'S', 1, 1, 1)),
            ("proc/stat", ""),
            ("proc/13/x", ""),
        ]);
        let mut processes = Processes::new(host.dir.path().join("proc"));
        assert_eq!(processes.list().unwrap(), [12, 13]);
        assert_eq!(processes.stat(12).unwrap().unwrap().comm, "a");
        assert!(
            processes.stat(13).unwrap().is_none()
                && processes.thread_stat(12, 12).unwrap().is_none()
        );
        assert!(processes.threads(12).unwrap().is_empty() && processes.open_files(12).is_none());
        host.write("proc/13/stat", "nonsense");
        let error = processes.stat(13).unwrap_err().to_string();
        assert!(
            error
                .ends_with("proc/13/stat:1: expected the figures of a process, found \"nonsense\""),
            "{error}"
        );
    }

    #[test]
    fn this_process_has_a_thread_and_open_files() {
        let mut processes = Processes::new("/proc".into());
        let this = std::process::id();
        assert!(processes.list().unwrap().contains(&this));
        assert!(processes.threads(this).unwrap().contains(&this));
        assert!(processes.thread_stat(this, this).unwrap().is_some());
        let counted = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let told = processes.open_files(this).unwrap();
        // Other tests open and close files meanwhile.
        assert!(told > 2 && told.abs_diff(counted) < 200, "{told} {counted}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_name_is_survived(name in "\\PC{0,12}", state in "[ -~]{0,2}", rest in "[0-9 -]{0,60}") {
            let _ = parse(format!("12 ({name}) {state}{rest}").as_bytes());
        }
    }
}
