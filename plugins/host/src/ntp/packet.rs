//! Packets of NTP and the times in them (RFC 5905, figure 8).
//!
//! Times count from 1900 in 64 bits and begin anew in 2036; differences are right across that. It must not know
//! sockets.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of a packet without extensions, in bytes.
pub(super) const PACKET: usize = 48;

/// Modes of a packet.
const CLIENT: u8 = 3;
pub(super) const SERVER: u8 = 4;

/// From 1900 to 1970, in seconds.
const EPOCH: u64 = 2_208_988_800;

/// A time in units of 2^-32 s since 1900 or 2036.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timestamp(pub(super) u64);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().wrapping_add(EPOCH) << 32;
        Timestamp(seconds | fraction(since))
    }
}

impl Timestamp {
    /// The time `duration` later.
    pub(super) fn after(self, duration: Duration) -> Self {
        let units = (duration.as_secs() << 32) | fraction(duration);
        Timestamp(self.0.wrapping_add(units))
    }

    /// Seconds from `earlier` to this time; they are at most 68 years apart.
    pub(super) fn since(self, earlier: Timestamp) -> f64 {
        self.0.wrapping_sub(earlier.0).cast_signed() as f64 / UNITS
    }

    /// Seconds since 1970; no time is 0. What would be before 1970 is after 2036.
    pub(super) fn seconds(self) -> f64 {
        if self.0 == 0 {
            return 0.0;
        }
        let whole = self.0 >> 32;
        let era = if whole < EPOCH { 1 << 32 } else { 0 };
        (whole + era - EPOCH) as f64 + f64::from(self.0 as u32) / UNITS
    }
}

/// Units of a time in a second.
const UNITS: f64 = (1u64 << 32) as f64;

/// What exceeds whole seconds.
fn fraction(duration: Duration) -> u64 {
    (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000
}

/// A number that an answer repeats and nobody can guess.
pub(super) fn nonce() -> Timestamp {
    // Hashers are seeded by the system's random numbers.
    Timestamp(RandomState::new().hash_one(SystemTime::now()))
}

/// The packet that asks for the time.
pub(super) fn question(version: u8, nonce: Timestamp) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[0] = (version << 3) | CLIENT;
    packet[40..].copy_from_slice(&nonce.0.to_be_bytes());
    packet
}

/// What a server says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// 0 to 3.
    pub(super) leap: u8,
    pub(super) mode: u8,
    pub(super) stratum: u8,
    /// Seconds.
    pub(super) root_delay: f64,
    /// Seconds.
    pub(super) root_dispersion: f64,
    /// When the server's clock was set.
    pub(super) reference: Timestamp,
    /// What the question carried as its time.
    pub(super) origin: Timestamp,
    /// When the question reached the server, by its clock.
    pub(super) received: Timestamp,
    /// When the answer left the server, by its clock.
    pub(super) sent: Timestamp,
}

impl Answer {
    /// Nothing from what is too short for a packet.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let packet: &[u8; PACKET] = packet.first_chunk()?;
        let [first, stratum, ..] = *packet;
        let short = |at: usize| {
            let bytes = packet.get(at..at + 4)?.try_into().ok()?;
            Some(f64::from(u32::from_be_bytes(bytes)) / 65536.0)
        };
        let time = |at: usize| {
            let bytes = packet.get(at..at + 8)?.try_into().ok()?;
            Some(Timestamp(u64::from_be_bytes(bytes)))
        };
        Some(Answer {
            leap: first >> 6,
            mode: first & 7,
            stratum,
            root_delay: short(4)?,
            root_dispersion: short(8)?,
            reference: time(16)?,
            origin: time(24)?,
            received: time(32)?,
            sent: time(40)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let mut packet = [0; PACKET];
        packet[..12].copy_from_slice(&[0x64, 2, 6, 0xe9, 0, 1, 0, 0, 0, 0, 0x80, 0]);
        packet[16..24].copy_from_slice(&[0xea, 0, 0, 0, 0x80, 0, 0, 0]);
        let answer = Answer::parse(&packet).unwrap();
        assert_eq!((answer.leap, answer.mode, answer.stratum), (1, SERVER, 2));
        assert_eq!((answer.root_delay, answer.root_dispersion), (1.0, 0.5));
        let expected = f64::from(0xea00_0000u32) - EPOCH as f64 + 0.5;
        assert_eq!(answer.reference.seconds(), expected);
    }

    #[test]
    fn times_go_on_after_2036() {
        let (before, after) = (Timestamp(u64::MAX - (1 << 31) + 1), Timestamp(1 << 31));
        assert_eq!(after.since(before), 1.0);
        assert_eq!(after.seconds() - before.seconds(), 1.0);
        assert_eq!(Timestamp(0).seconds(), 0.0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Answer::parse(&bytes).is_some(), bytes.len() >= PACKET);
        }

        #[test]
        fn a_time_comes_back(millis in 0u64..4_294_967_296_000) {
            let time = Timestamp::from(UNIX_EPOCH + Duration::from_millis(millis));
            prop_assert!((time.seconds() - millis as f64 / 1e3).abs() < 1e-6);
        }

        #[test]
        fn durations_are_added_exactly(at: u64, nanos in 0u64..1_000_000_000_000) {
            let later = Timestamp(at).after(Duration::from_nanos(nanos));
            prop_assert!((later.since(Timestamp(at)) - nanos as f64 / 1e9).abs() < 1e-6);
        }
    }
}
