//! A Docker daemon of its own, with one small image.
//!
//! `tests/lab/docker` starts and ends it; nothing is shared with the machine's own daemon. It must
//! not be asked what vigie says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{free_port, program};

/// A running daemon.
pub struct Docker {
    /// Where it shows its own metrics.
    pub metrics: SocketAddr,
    /// `/PARENT`, below which its containers' cgroups are.
    pub cgroup_parent: String,
    /// An address on the host that containers reach.
    pub gateway: String,
    /// The one image.
    pub image: String,
    dir: TempDir,
}

impl Docker {
    /// Starts containerd and dockerd.
    ///
    /// # Panics
    /// When they do not start: root and Debian's docker.io are needed.
    #[must_use]
    pub fn start() -> Docker {
        Docker::with(true)
    }

    /// The same, ready for `docker swarm init`: a node of a swarm cannot let containers outlive its daemon.
    ///
    /// # Panics
    /// As [`Docker::start`].
    #[must_use]
    pub fn for_a_swarm() -> Docker {
        Docker::with(false)
    }

    fn with(live_restore: bool) -> Docker {
        // Not below TMPDIR: sockets lie there, and their paths are short.
        let dir = tempfile::Builder::new().prefix("vl").tempdir_in("/tmp").unwrap();
        let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut up = lab("up", dir.path());
        up.arg(metrics.to_string()).env("LIVE_RESTORE", live_restore.to_string());
        let said = run_lab(up);
        let value = |key: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {key} in {said}")).to_owned()
        };
        let [cgroup_parent, gateway, image] = ["CGROUP_PARENT", "GATEWAY", "IMAGE"].map(value);
        Docker { metrics, cgroup_parent, gateway, image, dir }
    }

    /// `unix:///...`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// What `docker ARGS...` writes.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, args: &[&str]) -> String {
        let output = Command::new(program("docker")).arg("-H").arg(self.host()).args(args).output();
        text_of(&format!("docker {args:?}"), &output.unwrap())
    }

    /// Starts a container in the background and gives its id.
    pub fn container(&self, name: &str, options: &[&str], command: &[&str]) -> String {
        let mut args = vec!["run", "-d", "--init", "--name", name];
        args.extend(options);
        args.push(&self.image);
        args.extend(command);
        self.run(&args).trim().to_owned()
    }

    /// What the daemon knows of a container.
    pub fn inspect(&self, name: &str) -> Value {
        let answer: Value = serde_json::from_str(&self.run(&["inspect", name])).unwrap();
        answer[0].clone()
    }

    /// What the daemon counts of a container, from its API.
    pub fn stats(&self, name: &str) -> Value {
        let url = format!("http://docker/containers/{name}/stats?stream=false&one-shot=true");
        let socket = self.dir.path().join("docker.sock");
        let output = Command::new(program("curl"))
            .arg("-fsS")
            .arg("--unix-socket")
            .arg(socket)
            .arg(url)
            .output();
        serde_json::from_str(&text_of("curl", &output.unwrap())).unwrap()
    }

    /// `kill -9` of the daemon; its containers go on.
    pub fn kill(&self) {
        run_lab(lab("kill", self.dir.path()));
    }

    /// Starts the daemon again.
    pub fn again(&self) {
        run_lab(lab("start", self.dir.path()));
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        run_lab(lab("down", self.dir.path()));
    }
}

fn lab(verb: &str, dir: &Path) -> Command {
    let mut script = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../lab/docker"));
    script.arg(verb).arg(dir);
    script
}

fn run_lab(mut script: Command) -> String {
    text_of(&format!("{script:?}"), &script.output().unwrap())
}

fn text_of(what: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{text}{error}", output.status);
    text
}
