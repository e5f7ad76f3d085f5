//! vigie inside an existing hyper service: `/metrics` with host metrics and a collector of the
//! service's own, alerts routed to a notifier of its own.
//!
//! ```text
//! cargo run --example embed -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/metrics
//! curl http://127.0.0.1:8080/order        # the tenth order of a run posts an alert
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use vigie::Vigie;
use vigie::core::alert::{BoxFuture, LabelSet, PostedAlert};
use vigie::core::collect::{Bound, CollectError, Collector, CollectorInfo, Scrape};
use vigie::core::config::{ConfigError, Node};
use vigie::core::http::{Listener, Request};
use vigie::core::metric::{Family, MetricSink};
use vigie::core::notify::{Notification, Notifier, NotifierDef, NotifierSetting, NotifyError};

static ORDERS: Family = Family::counter("shop_orders_total", "Orders taken.", []);

/// A collector of the service's own.
struct Orders(Arc<AtomicU64>);

impl Collector for Orders {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        ORDERS.emit(sink, [], self.0.load(Ordering::Relaxed));
        Ok(())
    }
}

/// A notifier of the service's own: it prints. In a configuration it is called `print_configs`.
struct Print;

static PRINT: NotifierDef = NotifierDef {
    kind: "print",
    help: "Prints notifications.",
    globals: &[],
    send_resolved: true,
    build: |_: &Node, _: &NotifierSetting<'_>| -> Result<Box<dyn Notifier>, ConfigError> {
        Ok(Box::new(Print))
    },
};

impl Notifier for Print {
    fn notify<'a>(&'a self, sent: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            say(&format!("{}: {} alerts", sent.status().as_str(), sent.alerts.len()));
            Ok(())
        })
    }
}

const CONFIG: &str = "
alerting:
  config:
    route: {receiver: console, group_wait: 1s}
    receivers:
      - name: console
        print_configs: [{}]
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders = Arc::new(AtomicU64::new(0));
    let counted = orders.clone();
    let info = CollectorInfo::new("orders", "Orders of the shop.");
    let vigie = Vigie::builder()
        .bundled()
        .collector(Bound::new(info, move || Ok(Box::new(Orders(counted.clone())))))
        .notifier(&PRINT)
        .config_text(CONFIG)
        .alerting()
        .start()
        .await?;

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address).await?;
    say(&format!("listening on http://{}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        let (vigie, orders) = (vigie.clone(), orders.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(vigie.clone(), orders.clone(), request));
            let server = http1::Builder::new();
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                say(&format!("connection: {error}"));
            }
        });
    }
}

/// The service's own paths first; everything else is vigie's.
async fn answer(
    vigie: Vigie,
    orders: Arc<AtomicU64>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/order" {
        let number = orders.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 10 {
            let labels = LabelSet::new([("alertname", "ManyOrders"), ("severity", "info")]);
            let alert = PostedAlert { labels, ..PostedAlert::default() };
            if let Err(error) = vigie.alerts().post(vec![alert]).await {
                say(&format!("alert: {error}"));
            }
        }
        return Ok(hyper::Response::new(Full::from(format!("order {number}\n"))));
    }
    let uri = request.uri();
    let mut question =
        Request::new(request.method().clone(), uri.path(), uri.query().unwrap_or(""));
    question.headers = request.headers().clone();
    let answer = vigie.answer(Listener::Telemetry, question).await;
    let mut response = hyper::Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

fn say(text: &str) {
    use std::io::Write;
    // An example has nobody to tell that its output is closed.
    drop(writeln!(std::io::stdout(), "{text}"));
}
