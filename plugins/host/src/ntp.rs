//! `ntp`: how far the clock is from that of the host's time server, and whether that server can be believed (SNTP,
//! RFC 4330 and RFC 5905).
//!
//! One datagram is sent for each scrape and one awaited. It must not know the bytes of a packet.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{setsockopt, sockopt};
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::{FlagDef, Flags};
use vigie_core::metric::{Family, MetricSink};

use crate::patience::Patience;

mod packet;
mod sanity;

use packet::{Answer, PACKET, Timestamp, question};
use sanity::Sanity;

static STRATUM: Family = Family::gauge(
    "node_ntp_stratum",
    "Steps from the server to a reference clock; 0 and 16 are a server without time.",
    [],
);
static LEAP: Family = Family::gauge(
    "node_ntp_leap",
    "Leap second: 0 none, 1 one more today, 2 one less today, 3 the server is not synchronized.",
    [],
);
static RTT: Family = Family::gauge("node_ntp_rtt_seconds", "Time to the server and back.", []);
static OFFSET: Family = Family::gauge(
    "node_ntp_offset_seconds",
    "How far the server's clock is ahead of this one; negative when it is behind.",
    [],
);
static REFERENCE: Family = Family::gauge(
    "node_ntp_reference_timestamp_seconds",
    "When the server's clock was set last, in seconds since 1970; 0 for never.",
    [],
);
static ROOT_DELAY: Family = Family::gauge(
    "node_ntp_root_delay_seconds",
    "Time from the server to the reference clock and back.",
    [],
);
static ROOT_DISPERSION: Family = Family::gauge(
    "node_ntp_root_dispersion_seconds",
    "Largest error of the server against the reference clock.",
    [],
);
static SANITY: Family = Family::gauge(
    "node_ntp_sanity",
    "Whether the answer passes the checks of RFC 5905 and the limits that were set.",
    [],
);

const SERVER: &str = "collector.ntp.server";
const PORT: &str = "collector.ntp.server-port";
const VERSION: &str = "collector.ntp.protocol-version";
const IS_LOCAL: &str = "collector.ntp.server-is-local";
const TTL: &str = "collector.ntp.ip-ttl";
const MAX_DISTANCE: &str = "collector.ntp.max-distance";
const TOLERANCE: &str = "collector.ntp.local-offset-tolerance";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("ntp", "Offset and sanity of the host's time server.")
        .reads("SNTP over UDP")
        .needs("a time server that answers on 127.0.0.1, such as chronyd or ntpd")
        .off_by_default()
        .flags(&[
            FlagDef::text(SERVER, "127.0.0.1", "Address of the time server."),
            FlagDef::text(PORT, "123", "UDP port of the time server."),
            FlagDef::text(VERSION, "4", "Version of the protocol, 2 to 4."),
            FlagDef::switch(
                IS_LOCAL,
                false,
                "Promise that the server is not a public one, which scrapes must not load; without it only \
                 addresses of this host are taken.",
            ),
            FlagDef::text(TTL, "1", "Hops that questions may go."),
            FlagDef::text(
                MAX_DISTANCE,
                "3.46608s",
                "Most distance to the reference clock of a sane server.",
            ),
            FlagDef::text(
                TOLERANCE,
                "1ms",
                "Most certain error between the server and this clock of a sane server.",
            ),
        ])
        .families(&[
            STRATUM.doc(),
            LEAP.doc(),
            RTT.doc(),
            OFFSET.doc(),
            REFERENCE.doc(),
            ROOT_DELAY.doc(),
            ROOT_DISPERSION.doc(),
            SANITY.doc(),
        ]),
    build: |setting| Ok(Box::new(Ntp::build(setting)?)),
};

/// A server next door answers at once.
const LIMIT: Duration = Duration::from_secs(1);

struct Ntp {
    /// Name or address.
    server: String,
    port: u16,
    version: u8,
    hops: u8,
    sanity: Sanity,
    patience: Patience,
}

impl Ntp {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let server = flags.text(SERVER);
        let is_here = server.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if !is_here && !flags.switch(IS_LOCAL) {
            let what = format!("{server:?} is no address of this host; see --{IS_LOCAL}");
            return Err(flags.error(SERVER, what).into());
        }
        Ok(Ntp {
            server: server.to_owned(),
            port: within(flags, PORT, 1, u16::MAX)?,
            version: within(flags, VERSION, 2, 4)?,
            hops: within(flags, TTL, 1, u8::MAX)?,
            sanity: Sanity::new(seconds(flags, MAX_DISTANCE)?, seconds(flags, TOLERANCE)?),
            patience: Patience::new(LIMIT),
        })
    }
}

fn within<T>(flags: &Flags, name: &str, least: T, most: T) -> Result<T, BuildError>
where
    T: Copy + std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let text = flags.text(name);
    let number = text.parse().ok().filter(|number| *number >= least && *number <= most);
    let what = || format!("expected a number from {least} to {most}, found {text:?}");
    Ok(number.ok_or_else(|| flags.error(name, what()))?)
}

/// A duration as Go writes it: `3.46608s`, `1ms`, `0`.
fn seconds(flags: &Flags, name: &str) -> Result<f64, BuildError> {
    let text = flags.text(name);
    let with_unit = if text == "0" { "0s" } else { text };
    let seconds = with_unit.parse().map(|duration: jiff::SignedDuration| duration.as_secs_f64());
    let what = || format!("expected a duration such as 1ms or 3.5s, found {text:?}");
    let seconds = seconds.ok().filter(|seconds| *seconds >= 0.0);
    Ok(seconds.ok_or_else(|| flags.error(name, what()))?)
}

impl Collector for Ntp {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let until = self.patience.deadline(scrape)?;
        let asked = format!("{}:{}", self.server, self.port);
        let exchange = self.ask(until).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let limit = self.patience.limit().as_secs_f64();
                self.patience.silent(scrape, format!("{asked}: no answer within {limit} s"))
            }
            _ => CollectError::Other(format!("{asked}: {error}")),
        })?;
        self.patience.answered();
        exchange.check().map_err(|what| CollectError::Other(format!("{asked}: {what}")))?;
        exchange.emit(sink);
        SANITY.emit(sink, [], self.sanity.judge(&exchange));
        Ok(())
    }
}

/// A question and its answer.
struct Exchange {
    /// When the question left, by this clock.
    sent: Timestamp,
    /// When the answer came, by this clock.
    received: Timestamp,
    answer: Answer,
}

impl Ntp {
    /// Asks, and waits for the answer to this question and to no other.
    fn ask(&self, until: Instant) -> io::Result<Exchange> {
        let server = (&*self.server, self.port).to_socket_addrs()?.next();
        let server = server.ok_or_else(|| io::Error::other("the name has no address"))?;
        let socket = self.socket(server)?;
        let nonce = packet::nonce();
        let (sent, since) = (Timestamp::from(SystemTime::now()), Instant::now());
        socket.send(&question(self.version, nonce))?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            socket.set_read_timeout(Some(left))?;
            let mut bytes = [0; 2 * PACKET];
            let length = socket.recv(&mut bytes)?;
            let received = sent.after(since.elapsed());
            let answer = Answer::parse(bytes.get(..length).unwrap_or_default());
            if let Some(answer) = answer.filter(|answer| answer.origin == nonce) {
                return Ok(Exchange { sent, received, answer });
            }
        }
    }

    fn socket(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        let hops = self.hops.into();
        match server {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4Ttl, &hops)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6Ttl, &hops)?,
        }
        socket.connect(server)?;
        Ok(socket)
    }
}

impl Exchange {
    /// Refuses what no server sends.
    fn check(&self) -> Result<(), &'static str> {
        let Answer { mode, received, sent, .. } = &self.answer;
        match () {
            () if *mode != packet::SERVER => Err("the answer is not that of a server"),
            () if *sent == Timestamp::default() => Err("the answer has no time"),
            () if sent.since(*received) < 0.0 => Err("the server's clock stepped back"),
            () => Ok(()),
        }
    }

    fn round_trip(&self) -> f64 {
        let server = self.answer.sent.since(self.answer.received);
        (self.received.since(self.sent) - server).max(0.0)
    }

    fn offset(&self) -> f64 {
        let there = self.answer.received.since(self.sent);
        let back = self.answer.sent.since(self.received);
        (there + back) / 2.0
    }

    fn emit(&self, sink: &mut dyn MetricSink) {
        STRATUM.emit(sink, [], u64::from(self.answer.stratum));
        LEAP.emit(sink, [], u64::from(self.answer.leap));
        RTT.emit(sink, [], self.round_trip());
        OFFSET.emit(sink, [], self.offset());
        REFERENCE.emit(sink, [], self.answer.reference.seconds());
        ROOT_DELAY.emit(sink, [], self.answer.root_delay);
        ROOT_DISPERSION.emit(sink, [], self.answer.root_dispersion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn flags_are_checked() {
        for (flag, value, what) in [
            (
                SERVER,
                "192.0.2.1",
                "\"192.0.2.1\" is no address of this host; see --collector.ntp.server-is-local",
            ),
            (PORT, "0", "expected a number from 1 to 65535, found \"0\""),
            (VERSION, "5", "expected a number from 2 to 4, found \"5\""),
            (TTL, "x", "expected a number from 1 to 255, found \"x\""),
            (MAX_DISTANCE, "3", "expected a duration such as 1ms or 3.5s, found \"3\""),
            (TOLERANCE, "-1ms", "expected a duration such as 1ms or 3.5s, found \"-1ms\""),
        ] {
            let host = Host::new(&[]).flag(flag, &[value]);
            assert_eq!(host.build(&DEF).err().unwrap(), format!("--{flag}: {what}"));
        }
        let far = Host::new(&[]).flag(SERVER, &["192.0.2.1"]).flag(IS_LOCAL, &["true"]);
        assert!(far.build(&DEF).is_ok() && Host::new(&[]).build(&DEF).is_ok());
        let zero = Host::new(&[]).flag(SERVER, &["::1"]).flag(TOLERANCE, &["0"]);
        assert!(zero.build(&DEF).is_ok());
    }

    #[test]
    fn offset_and_round_trip_follow_from_four_times() {
        let at = |millis| Timestamp::from(std::time::UNIX_EPOCH + Duration::from_millis(millis));
        let answer = Answer { received: at(10_100), sent: at(10_101), ..Answer::default() };
        let exchange = Exchange { sent: at(10_000), received: at(10_005), answer };
        assert!((exchange.round_trip() - 0.004).abs() < 1e-9);
        assert!((exchange.offset() - 0.098).abs() < 1e-9);
    }
}
