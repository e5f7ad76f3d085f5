//! A real Traefik with one route to one backend and an access log.
//!
//! The log is written by the program whose log vigie claims to read. It must not be tuned to please.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::http::get;
use crate::process::{Proc, free_port, program};
use crate::wait::{SOON, wait_for};

/// A running Traefik.
pub struct Traefik {
    /// Its process.
    pub process: Proc,
    /// Its entry point.
    pub address: SocketAddr,
    dir: TempDir,
}

impl Traefik {
    /// Serves `backend` as the service `gallery@file`; `format` is `json` or `common`.
    #[must_use]
    pub fn start(backend: SocketAddr, format: &str) -> Traefik {
        let dir = tempfile::tempdir().unwrap();
        let routes = dir.path().join("routes.yml");
        fs::write(&routes, route_to(backend)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program("traefik"));
        command
            .arg("--global.checknewversion=false")
            .arg("--global.sendanonymoususage=false")
            .arg("--log.level=WARN")
            .arg(format!("--entrypoints.web.address={address}"))
            .arg(format!("--providers.file.filename={}", routes.display()))
            .arg("--accesslog=true")
            .arg(format!("--accesslog.filepath={}", log_in(dir.path()).display()))
            .arg(format!("--accesslog.format={format}"));
        let process = Proc::start("traefik", &mut command);
        wait_for("Traefik's route", SOON, || {
            get(address, "/")
                .map_err(|error| error.to_string())
                .and_then(|answer| if answer.status == 200 { Ok(()) } else { Err(answer.text()) })
        });
        Traefik { process, address, dir }
    }

    /// Its access log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_in(self.dir.path())
    }

    /// Lines in its access log, rotated ones included.
    #[must_use]
    pub fn lines(&self) -> usize {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = names.filter(|path| path.to_string_lossy().contains("access.log"));
        logs.map(|path| fs::read(path).unwrap().iter().filter(|byte| **byte == b'\n').count()).sum()
    }

    /// Renames the log, as logrotate does, and tells Traefik.
    pub fn rotate(&self) {
        fs::rename(self.log(), self.dir.path().join("access.log.1")).unwrap();
        self.process.signal(Signal::SIGUSR1);
    }
}

fn log_in(dir: &Path) -> PathBuf {
    dir.join("access.log")
}

fn route_to(backend: SocketAddr) -> String {
    format!(
        "http:
  routers:
    gallery:
      rule: PathPrefix(`/`)
      service: gallery
  services:
    gallery:
      loadBalancer:
        servers:
          - url: http://{backend}
"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Backend, Clients};

    #[test]
    fn every_visit_becomes_a_line_also_across_a_rotation() {
        let backend = Backend::start();
        let traefik = Traefik::start(backend.address(), "common");
        let clients = Clients::visit(traefik.address, 2, Duration::from_millis(5));
        wait_for("visits", SOON, || (clients.answered() > 20).then_some(()).ok_or("too few"));
        traefik.rotate();
        wait_for("visits", SOON, || (clients.answered() > 40).then_some(()).ok_or("too few"));
        let visits = clients.stop();
        // What was asked while the route was not up yet is a line as well.
        let lines = wait_for("the last lines", SOON, || {
            let lines = traefik.lines();
            if lines >= visits { Ok(lines) } else { Err(format!("{lines} of {visits}")) }
        });
        assert!(lines >= visits && backend.answered() >= visits);
    }
}
