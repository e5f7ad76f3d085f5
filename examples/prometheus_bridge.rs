//! A service's own `prometheus::Registry`, exposed by vigie in text and OpenMetrics.
//!
//! ```text
//! cargo run --example prometheus_bridge
//! ```

use prometheus::{IntCounter, Registry};
use vigie::Vigie;
use vigie::core::bridge;
use vigie::core::collect::CollectorInfo;
use vigie::core::encode::Format;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What the service has already: counters in a registry.
    let registry = Registry::new();
    let orders = IntCounter::new("shop_orders_total", "Orders taken.")?;
    registry.register(Box::new(orders.clone()))?;
    orders.inc_by(3);

    // Any registry is a collector of vigie.
    let info = CollectorInfo::new("shop", "The shop's own metrics.");
    let vigie = Vigie::builder().collector(bridge::collector(info, registry)).start().await?;
    for format in [Format::Text, Format::OpenMetrics] {
        let page = vigie.scrape(format).await;
        print(&format!("--- {}\n{}", format.content_type(), String::from_utf8_lossy(&page)))?;
    }
    vigie.stop().await;
    Ok(())
}

fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())
}
