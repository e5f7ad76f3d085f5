//! `vigie serve`: the main job.
//!
//! Binds both ports, starts everything, and waits for a signal: SIGHUP reloads, SIGTERM and
//! Ctrl-C stop cleanly. It must not know what is served.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vigie::core::collect::{SlotState, Wish};
use vigie::core::http::{Inherited, Listener, Server, WebConfigFile};
use vigie::{Settings, Vigie};

use super::{Start, storage};

pub(crate) fn run(start: Start) -> anyhow::Result<ExitCode> {
    let ports = Ports::open(&start.builder.settings()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(start, ports));
    // A stuck mount holds its thread for good; the process does not wait for it.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Both servers, listening but not yet answering. Ports come first: a second vigie must fail before
/// it touches the first one's state.
struct Ports {
    telemetry: Server,
    alerting: Server,
}

impl Ports {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let wanted = |name: &str| -> Vec<String> {
            let addresses = settings.flags.list(name).iter();
            addresses.filter(|address| !address.is_empty()).cloned().collect()
        };
        let mut passed = match settings.flags.switch("web.systemd-socket") {
            true => Some(Inherited::take()?),
            false => None,
        };
        let alerting = match passed.as_mut().map(|passed| passed.named("alerting")) {
            Some(sockets) if !sockets.is_empty() => Server::on(sockets),
            _ => Server::bind(&wanted("alerting.listen-address"))?,
        };
        let telemetry = match passed {
            Some(passed) => Server::on(passed.rest()),
            None => Server::bind(&wanted("web.listen-address"))?,
        };
        let paths = [Listener::Telemetry, Listener::Alerting]
            .map(|listener| settings.web_config_path(listener));
        let open = |path: &Option<PathBuf>| path.as_deref().map(WebConfigFile::open).transpose();
        let web = open(&paths[0])?;
        // One file is read and remembers passwords once for both.
        let alerting_web = if paths[0] == paths[1] { web.clone() } else { open(&paths[1])? };
        Ok(Ports {
            telemetry: telemetry.named("telemetry").web_config(web),
            alerting: alerting.named("alerting").web_config(alerting_web),
        })
    }
}

async fn serve(start: Start, ports: Ports) -> anyhow::Result<()> {
    let flags = start.builder.settings()?.flags;
    let mut builder = start.builder.storage(storage::open(flags.text("storage.path"))?);
    if !ports.alerting.local_addresses().is_empty() {
        builder = builder.alerting();
    }
    let vigie = builder.start().await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "vigie");
    vigie.metrics().add(ports.telemetry.metrics());
    vigie.metrics().add(ports.alerting.metrics());
    announce(&ports.telemetry, "metrics", flags.text("web.telemetry-path"));
    announce(&ports.alerting, "alerts", "/");
    vigie.notes().iter().for_each(|note| tracing::info!("{note}"));

    let (stop, stopped) = watch::channel(false);
    let telemetry = spawn(ports.telemetry, &vigie, Listener::Telemetry, stopped.clone());
    let alerts = spawn(ports.alerting, &vigie, Listener::Alerting, stopped);
    // Signals are heeded from the start.
    let ((), stop_asked) = tokio::join!(first_look(&vigie), wait_for_stop(&vigie));
    stop_asked?;
    tracing::info!("stopping");
    stop.send_replace(true);
    for server in [telemetry, alerts] {
        server.await??;
    }
    vigie.stop().await;
    Ok(())
}

/// Says where it listens, with an address a browser on this host can open.
fn announce(server: &Server, what: &'static str, path: &str) {
    let scheme = if server.has_tls() { "https" } else { "http" };
    for address in server.local_addresses() {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let url = format!("{scheme}://{host}:{}{path}", address.port());
        tracing::info!(address = %address, r#for = what, url, "listening");
    }
}

fn spawn(
    server: Server,
    vigie: &Vigie,
    listener: Listener,
    mut stopped: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<std::io::Result<()>> {
    let routes = vigie.routes(listener);
    tokio::spawn(server.serve(routes, async move {
        drop(stopped.wait_for(|stop| *stop).await);
    }))
}

/// Longest time of the first look: whoever asks meanwhile waits for it.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Scrapes once, so that the log says what there is to see here.
async fn first_look(vigie: &Vigie) {
    vigie.scraper().scrape(Wish::default(), Some(FIRST_LOOK)).await;
    let report = vigie.scraper().registry().report();
    let names = |wanted: fn(&SlotState) -> bool| -> Vec<&str> {
        let chosen = report.iter().filter(|(_, report)| wanted(&report.state));
        chosen.map(|(info, _)| info.name).collect()
    };
    let without = names(|state| matches!(state, SlotState::NoData(_)));
    let failed = names(|state| state.failure().is_some());
    tracing::info!(
        on = report.len(),
        no_data = without.join(","),
        failed = failed.join(","),
        "collectors"
    );
}

async fn wait_for_stop(vigie: &Vigie) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match vigie.reload().await {
                Ok(()) => tracing::info!("configuration loaded again"),
                Err(error) => {
                    tracing::error!(%error, "reload refused, the old configuration stays");
                }
            },
        }
    }
}
