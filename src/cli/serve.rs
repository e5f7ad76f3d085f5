//! `vigie serve`: the main job.
//!
//! Binds both ports, starts everything, and waits for a signal: SIGHUP reloads, SIGTERM and
//! Ctrl-C stop cleanly. It must not know what is served.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vigie::Vigie;
use vigie::core::collect::SlotState;
use vigie::core::encode::Format;
use vigie::core::http::{Listener, Server};

use super::{Start, storage};

pub(crate) fn run(start: Start) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(start));
    // A stuck mount holds its thread for good; the process does not wait for it.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve(start: Start) -> anyhow::Result<()> {
    let settings = start.builder.settings()?;
    let flags = settings.flags.clone();
    let wanted = |name: &str| -> Vec<String> {
        flags.list(name).iter().filter(|address| !address.is_empty()).cloned().collect()
    };
    let alerting = wanted("alerting.listen-address");
    // Ports first: a second vigie must fail before it touches the first one's state.
    let telemetry_server = Server::bind(&wanted("web.listen-address"))?.named("telemetry");
    let alerting_server = Server::bind(&alerting)?.named("alerting");
    let mut builder = start.builder.storage(storage::open(flags.text("storage.path"))?);
    if !alerting.is_empty() {
        builder = builder.alerting();
    }
    let vigie = builder.start().await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "vigie");
    vigie.metrics().add(telemetry_server.metrics());
    vigie.metrics().add(alerting_server.metrics());
    announce(&telemetry_server.local_addresses(), "metrics", flags.text("web.telemetry-path"));
    announce(&alerting_server.local_addresses(), "alerts", "/");
    vigie.notes().iter().for_each(|note| tracing::info!("{note}"));

    let (stop, stopped) = watch::channel(false);
    let telemetry = spawn(telemetry_server, &vigie, Listener::Telemetry, stopped.clone());
    let alerts = spawn(alerting_server, &vigie, Listener::Alerting, stopped);
    first_look(&vigie).await;
    wait_for_stop(&vigie).await?;
    tracing::info!("stopping");
    stop.send_replace(true);
    for server in [telemetry, alerts] {
        server.await??;
    }
    vigie.stop().await;
    Ok(())
}

/// Says where it listens, with an address a browser on this host can open.
fn announce(addresses: &[SocketAddr], what: &'static str, path: &str) {
    for address in addresses {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let url = format!("http://{host}:{}{path}", address.port());
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

/// Scrapes once, so that the log says what there is to see here.
async fn first_look(vigie: &Vigie) {
    vigie.scrape(Format::Text).await;
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
