//! A router behind our routes, and Debian's Alertmanager with the same configuration.
//!
//! Both are driven over HTTP only, so that a test can ask them the same and compare. It must not know
//! what is asked.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use common::{Proc, SOON, free_port, get, program, wait_for};
use tokio::sync::oneshot;
use vigie_core::clock::SystemClock;
use vigie_core::config::parse_yaml;
use vigie_core::http::{Routes, Server};
use vigie_core::route::{RouteConfig, Router};
use vigie_core::storage::Storage;

/// Two receivers that are used and one that is not, an inhibition, groups within a second.
pub(crate) const CONFIG: &str = r#"
route:
  receiver: team
  group_by: [alertname]
  group_wait: 1s
  routes:
    - matchers: [severity="critical"]
      receiver: page
      group_by: [alertname, cluster]
receivers:
  - name: team
  - name: page
  - name: unused
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [cluster]
"#;

/// Our routes over a router in memory; it ends with its guard.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let server = Server::bind(&["127.0.0.1:0".into()]).unwrap();
        let address = server.local_addresses()[0];
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let config = parse_yaml("alertmanager.yml", CONFIG).unwrap();
                let config = RouteConfig::read(&config, &[]).unwrap();
                let clock = Arc::new(SystemClock);
                let url = format!("http://{address}");
                let router = Router::start(config, Storage::memory(), clock.clone(), url).unwrap();
                let routes = vigie_alertmanager::routes(Arc::new(router), clock);
                // The guard may have been dropped without a word, which stops as well.
                let stopped = async { drop(stopped.await) };
                server.serve(Routes::new(routes), stopped).await.unwrap();
            });
        });
        Ours { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Debian's Alertmanager.
pub(crate) struct Theirs {
    pub(crate) address: SocketAddr,
    _process: Proc,
    _state: tempfile::TempDir,
}

impl Theirs {
    pub(crate) fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let config = state.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program("prometheus-alertmanager"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", state.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let process = Proc::start("prometheus-alertmanager", &mut command);
        wait_for("Alertmanager", SOON, || get(address, "/-/ready"));
        Theirs { address, _process: process, _state: state }
    }
}
