//! A child process that does not outlive its test.
//!
//! It is killed by its own id when the guard is dropped, and what it writes is kept so that a failed
//! test can show it. It must not know which program it runs.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{SOON, wait_for};

/// Lines of output kept per process; the first ones hold the addresses, the last ones the trouble.
const KEPT_LINES: usize = 20_000;

/// A running child.
pub struct Proc {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Proc {
    /// Starts a program; its standard output and error are collected.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Proc {
        let started =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => panic!("cannot start {name} ({command:?}): {error}"),
        };
        let lines = Arc::default();
        collect(child.stdout.take(), &lines);
        collect(child.stderr.take(), &lines);
        Proc { name: name.to_owned(), child, lines }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything written so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line and gives what `find` makes of it.
    pub fn line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let name = self.name.clone();
        wait_for(&format!("{what} from {name}"), SOON, || {
            let found = self.lines.lock().unwrap().iter().find_map(|line| find(line));
            if found.is_none()
                && let Ok(Some(status)) = self.child.try_wait()
            {
                panic!("{name} ended early ({status}):\n{}", self.output());
            }
            found.ok_or_else(|| self.output())
        })
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// `SIGTERM`, then the status it ends with.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(SOON)
    }

    /// `kill -9`, in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), limit, || {
            self.child.try_wait().unwrap().ok_or("still running")
        })
    }

    /// Threads of the process, from the kernel.
    #[must_use]
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.id())).map_or(0, Iterator::count)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap())
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let output = self.output();
            let from = output.len().saturating_sub(8000);
            let tail = output.get(from..).unwrap_or(&output);
            eprintln_block(&self.name, tail);
        }
    }
}

impl fmt::Debug for Proc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id())
    }
}

#[allow(clippy::print_stderr, reason = "what a peer said belongs to the report of a failed test")]
fn eprintln_block(name: &str, text: &str) {
    eprintln!("--- output of {name}\n{text}\n---");
}

fn collect(from: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<String>>>) {
    let Some(from) = from else { return };
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut lines = lines.lock().unwrap();
            if lines.len() < KEPT_LINES {
                lines.push(text);
            }
            drop(lines);
            line.clear();
        }
    });
}

/// A port that was free a moment ago, for peers that cannot say which one they took.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program from `PATH`, or from where Debian keeps servers.
///
/// # Panics
/// When it is not installed: a test never passes for want of its peer.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let venv = target_dir().join("venv/bin");
    let places = std::env::split_paths(&path).chain([venv, "/usr/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; ./tests/run installs it"))
}

/// Where cargo builds: two levels above the test that runs.
#[must_use]
pub fn target_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_heard_and_ends_with_its_guard() {
        let mut child =
            Proc::start("sh", Command::new("sh").args(["-c", "echo port=7; sleep 600"]));
        let port = child.line("port", |line| line.strip_prefix("port=").map(str::to_owned));
        assert_eq!(port, "7");
        let id = child.id();
        assert!(child.is_running() && child.threads() == 1);
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_terminated_child_tells_its_status() {
        let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let mut child = Proc::start("sh", Command::new("sh").args(["-c", script]));
        child.line("ready", |line| (line == "ready").then_some(()));
        assert_eq!(child.terminate().code(), Some(3));
    }
}
