//! Certificates of a test's own, made by openssl.
//!
//! Keys are on P-256, quick to make; times are days from now and may have passed. It must not know who
//! trusts whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::program;

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Identity {
    /// An authority that has signed itself, valid for so many days.
    #[must_use]
    pub fn authority(dir: &Path, name: &str, days: i32) -> Identity {
        let itself = Identity::files(dir, name);
        itself.make(name, days, "basicConstraints=critical,CA:TRUE", &itself);
        itself
    }

    /// A certificate that this authority has signed: extensions as openssl writes them, one a line.
    #[must_use]
    pub fn issue(&self, name: &str, days: i32, extensions: &str) -> Identity {
        let issued = Identity::files(self.cert.parent().unwrap_or(Path::new("")), name);
        issued.make(name, days, extensions, self);
        issued
    }

    fn files(dir: &Path, name: &str) -> Identity {
        Identity { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) }
    }

    /// Makes key, request and certificate; files of an earlier one are replaced.
    fn make(&self, name: &str, days: i32, extensions: &str, issuer: &Identity) {
        let beside = |ending: &str| self.cert.with_extension(ending);
        let (request, list) = (beside("csr"), beside("ext"));
        fs::write(&list, format!("{extensions}\n")).unwrap();
        let mut openssl = Command::new(program("openssl"));
        openssl.args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-subj", &format!("/CN={name}"), "-keyout"]).arg(&self.key);
        run(openssl.arg("-out").arg(&request));
        let mut openssl = Command::new(program("openssl"));
        openssl.args(["x509", "-req"]).args(validity(days)).arg("-in").arg(&request);
        openssl.arg("-extfile").arg(&list).arg("-out").arg(&self.cert);
        if issuer.key == self.key {
            openssl.arg("-key").arg(&self.key);
        } else {
            openssl.arg("-CA").arg(&issuer.cert).arg("-CAkey").arg(&issuer.key);
            openssl.arg("-CAcreateserial");
        }
        run(&mut openssl);
    }
}

/// Options for so many days from now. Since OpenSSL 3.4 a certificate that ends before it begins is refused, and what
/// is past has to be said in full.
fn validity(days: i32) -> Vec<String> {
    let help = Command::new(program("openssl")).args(["x509", "-help"]).output().unwrap();
    let knows_dates = String::from_utf8_lossy(&help.stderr).contains("-not_before");
    let words: &[&str] = match days {
        ..0 if knows_dates => &["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"],
        _ => &["-days", &days.to_string()],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
