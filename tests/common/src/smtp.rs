//! A real SMTP server that keeps the mail it takes.
//!
//! The server is aiosmtpd, started by `tests/lab/smtp`, which says its port and then one JSON line per
//! message. It must not know who sends.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::Proc;
use crate::wait::{SOON, wait_for};

/// A running SMTP server.
pub struct SmtpLab {
    process: Proc,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl SmtpLab {
    /// Starts it with the arguments of `tests/lab/smtp`.
    #[must_use]
    pub fn start(args: &[&str]) -> SmtpLab {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/smtp");
        let mut process = Proc::start("smtp", Command::new(lab).args(args));
        let port = process.line("the port", |line| line.strip_prefix("PORT ")?.trim().parse().ok());
        SmtpLab { process, port }
    }

    /// Every message so far.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        let output = self.process.output();
        output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a message that `wanted` accepts.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || {
            let all = self.all();
            all.iter().find(|mail| wanted(mail)).cloned().ok_or_else(|| self.process.output())
        })
    }
}
