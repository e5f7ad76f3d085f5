//! A real SMTP server with TLS that keeps the mail it takes.
//!
//! The server is aiosmtpd, run by `tests/lab/smtp`, which says its port and then one JSON line per
//! message: from, to, subject, headers, text, html. It must not know who sends.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Proc, program, target_dir};
use crate::wait::{SOON, wait_for};

/// A running SMTP server.
pub struct SmtpLab {
    process: Proc,
    /// Its port on 127.0.0.1.
    pub port: u16,
    certificates: TempDir,
}

impl SmtpLab {
    /// Demands STARTTLS and this login before it takes a message.
    ///
    /// # Panics
    /// When openssl or aiosmtpd is missing.
    #[must_use]
    pub fn start(user: &str, password: &str) -> SmtpLab {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab");
        let certificates = tempfile::tempdir().unwrap();
        let made = Command::new(lab.join("certificate")).arg(certificates.path()).status();
        assert!(made.unwrap().success(), "openssl makes a certificate");
        let mut command = Command::new(python());
        command
            .arg(lab.join("smtp"))
            .args(["--tls", "starttls", "--user", user, "--password", password])
            .arg("--cert")
            .arg(certificates.path().join("cert.pem"))
            .arg("--key")
            .arg(certificates.path().join("key.pem"));
        let mut process = Proc::start("smtp", &mut command);
        let port = process.line("the port", |line| line.strip_prefix("PORT ")?.trim().parse().ok());
        SmtpLab { process, port, certificates }
    }

    /// The authority its certificate is signed by.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificates.path().join("ca.pem")
    }

    /// Every message so far.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        let output = self.process.output();
        let lines = output.lines().filter(|line| line.starts_with('{'));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a message that `wanted` accepts.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || {
            let all = self.all();
            all.iter().find(|mail| wanted(mail)).cloned().ok_or_else(|| self.process.output())
        })
    }
}

/// The Python that has aiosmtpd.
fn python() -> PathBuf {
    let venv = target_dir().join("venv/bin/python3");
    if venv.is_file() { venv } else { program("python3") }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_greets_and_has_an_authority() {
        let lab = SmtpLab::start("user", "password");
        let stream = TcpStream::connect(("127.0.0.1", lab.port)).unwrap();
        let mut greeting = String::new();
        BufReader::new(stream).read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with("220 "), "{greeting}");
        assert!(lab.authority().is_file() && lab.all().is_empty());
    }
}
