//! Debian's amtool, pointed at vigie.
//!
//! What Alertmanager's own tool reads and writes is what the API promises. It must not be told
//! anything about vigie but its address.

use std::net::SocketAddr;
use std::process::Command;

use crate::process::program;

/// amtool for one address.
pub struct Amtool {
    url: String,
}

impl Amtool {
    /// For the API at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Amtool {
        Amtool { url: format!("http://{address}") }
    }

    /// Runs it and gives its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(program("amtool"));
        let output = command.args(args).arg(format!("--alertmanager.url={}", self.url)).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "amtool {args:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
