//! The questions to a driver, and its answers as they lie in memory (linux/ethtool.h).
//!
//! It must not know what becomes a metric.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::namespace::Namespace;
use crate::netlink::{u8_at, u32_at, u64_at, until_zero};
use crate::parse::text;
use crate::sys::{ETHTOOL_NAME, ETHTOOL_STATISTICS, EthtoolQuery, EthtoolRoom, ethtool};

/// Asks drivers, one question after the other.
pub(super) struct Asker {
    socket: OwnedFd,
    room: EthtoolRoom,
}

/// Who drives an interface.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Driver {
    pub(super) bus: String,
    pub(super) driver: String,
    pub(super) expansion_rom: String,
    pub(super) firmware: String,
    pub(super) version: String,
}

/// What links an interface can make.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) autonegotiate: bool,
    pub(super) supported: Modes,
    pub(super) advertised: Modes,
}

/// A set of `ETHTOOL_LINK_MODE_*_BIT`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modes(Vec<u32>);

impl Modes {
    pub(super) fn has(&self, bit: usize) -> bool {
        self.0.get(bit / 32).is_some_and(|word| word >> (bit % 32) & 1 == 1)
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, bit: usize) {
        self.0.resize(self.0.len().max(bit / 32 + 1), 0);
        self.0[bit / 32] |= 1 << (bit % 32);
    }
}

impl Asker {
    pub(super) fn open(namespace: &Namespace) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let open = || Ok(socket(AddressFamily::Inet, SockType::Datagram, flags, None)?);
        Ok(Asker { socket: namespace.within(open)?, room: EthtoolRoom::new() })
    }

    pub(super) fn driver(&mut self, device: &str) -> io::Result<Driver> {
        Ok(driver(self.ask(device, EthtoolQuery::Driver, &[])?))
    }

    /// The kernel first tells how many words its sets have (a negative number), then fills them in; before Linux 4.6
    /// there was only one word.
    pub(super) fn link(&mut self, device: &str) -> io::Result<Link> {
        let mut question = [0; LINK_SETTINGS - 4];
        match self.ask(device, EthtoolQuery::LinkSettings, &question).map(words) {
            Ok(words) => question[WORDS - 4] = words.unsigned_abs(),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                return Ok(old_link(self.ask(device, EthtoolQuery::Settings, &[])?));
            }
            Err(error) => return Err(error),
        }
        Ok(link(self.ask(device, EthtoolQuery::LinkSettings, &question)?))
    }

    pub(super) fn statistics(&mut self, device: &str) -> io::Result<Vec<(String, u64)>> {
        let mut question = [0; 16];
        question[4..12].copy_from_slice(&(1u64 << SET_OF_STATISTICS).to_ne_bytes());
        let sizes = self.ask(device, EthtoolQuery::SetSizes, &question)?;
        let told = u64_at(sizes, 8).is_some_and(|sets| sets != 0);
        let count = u32_at(sizes, 16).filter(|_| told).unwrap_or(0);
        // Half of the room: the number may grow before the next question.
        if count as usize > ETHTOOL_STATISTICS / 2 {
            return Err(io::Error::other(format!("{count} statistics are too many")));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = count.to_ne_bytes();
        let question = [SET_OF_STATISTICS.to_ne_bytes(), count].concat();
        let names = names(self.ask(device, EthtoolQuery::Strings, &question)?);
        let values = self.ask(device, EthtoolQuery::Statistics, &count)?;
        named(names, numbers(values).collect())
    }

    /// `question` is what follows the number of the query.
    fn ask(&mut self, device: &str, query: EthtoolQuery, question: &[u8]) -> io::Result<&[u8]> {
        if let Some(place) = self.room.bytes().get_mut(4..4 + question.len()) {
            place.copy_from_slice(question);
        }
        ethtool(&self.socket, device, query, &mut self.room)?;
        Ok(self.room.bytes())
    }
}

/// Names and numbers are told one after the other; a driver that was given other queues in between has others.
fn named(names: Vec<String>, numbers: Vec<u64>) -> io::Result<Vec<(String, u64)>> {
    if names.len() == numbers.len() {
        return Ok(names.into_iter().zip(numbers).collect());
    }
    let (names, numbers) = (names.len(), numbers.len());
    Err(io::Error::other(format!("{names} names and {numbers} numbers")))
}

/// `ETH_SS_STATS`.
const SET_OF_STATISTICS: u32 = 1;

/// Reads a `struct ethtool_drvinfo`.
fn driver(bytes: &[u8]) -> Driver {
    let word = |at: usize| {
        let field = bytes.get(at..at + 32).unwrap_or_default();
        text(until_zero(field)).into_owned()
    };
    Driver {
        driver: word(4),
        version: word(36),
        firmware: word(68),
        bus: word(100),
        expansion_rom: word(132),
    }
}

/// `struct ethtool_link_settings`, and where it has the number of words in each set.
const LINK_SETTINGS: usize = 48;
const WORDS: usize = 15;

fn words(bytes: &[u8]) -> i8 {
    u8_at(bytes, WORDS).unwrap_or(0).cast_signed()
}

/// Reads a `struct ethtool_link_settings` with its sets.
fn link(bytes: &[u8]) -> Link {
    let count = usize::try_from(words(bytes)).unwrap_or(0);
    let set = |number: usize| {
        let word = |index| u32_at(bytes, LINK_SETTINGS + (number * count + index) * 4);
        Modes((0..count).filter_map(word).collect())
    };
    Link { autonegotiate: u8_at(bytes, 11) == Some(1), supported: set(0), advertised: set(1) }
}

/// Reads a `struct ethtool_cmd`.
fn old_link(bytes: &[u8]) -> Link {
    let set = |at| Modes(u32_at(bytes, at).into_iter().collect());
    Link { autonegotiate: u8_at(bytes, 18) == Some(1), supported: set(4), advertised: set(8) }
}

/// Reads a `struct ethtool_gstrings`.
fn names(bytes: &[u8]) -> Vec<String> {
    let count = u32_at(bytes, 8).unwrap_or(0) as usize;
    let names = bytes.get(12..).unwrap_or_default().chunks_exact(ETHTOOL_NAME);
    names.take(count).map(|name| text(until_zero(name)).into_owned()).collect()
}

/// Reads a `struct ethtool_stats`.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let count = u32_at(bytes, 4).unwrap_or(0) as usize;
    (0..count).map_while(|index| u64_at(bytes, 8 + index * 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_driver_is_words_that_end_with_a_zero() {
        let mut bytes = vec![0; 196];
        for (at, word) in [(4, "e1000e"), (36, "6.1"), (68, "0.5-4"), (100, "0000:00:1f.6")] {
            bytes[at..at + word.len()].copy_from_slice(word.as_bytes());
        }
        bytes[132..164].fill(b'x');
        let driver = driver(&bytes);
        assert_eq!((driver.driver.as_str(), driver.version.as_str()), ("e1000e", "6.1"));
        assert_eq!((driver.firmware.as_str(), driver.bus.as_str()), ("0.5-4", "0000:00:1f.6"));
        assert_eq!(driver.expansion_rom, "x".repeat(32), "without a zero");
    }

    #[test]
    fn sets_of_modes_have_as_many_words_as_the_kernel_says() {
        let mut bytes = vec![0; LINK_SETTINGS];
        (bytes[11], bytes[WORDS]) = (1, 2);
        for word in [1u32, 1 << 15, 2, 0, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        let link = link(&bytes);
        assert!(link.autonegotiate && link.supported.has(0) && link.supported.has(47));
        assert!(link.advertised.has(1) && !link.advertised.has(0) && !link.advertised.has(4000));
        let old = old_link(&[[0u8; 4], 7u32.to_ne_bytes(), 5u32.to_ne_bytes(), [0; 4]].concat());
        assert!(old.supported.has(1) && !old.advertised.has(1) && !old.autonegotiate);
    }

    #[test]
    fn names_and_numbers_are_as_many_as_counted() {
        let mut bytes = [0u32, 1, 2].map(u32::to_ne_bytes).concat();
        bytes.extend(b"rx_bytes".iter().chain(&[0; 24]));
        bytes.extend(b"tx_bytes".iter().chain(&[0; 24]));
        bytes.extend([b'x'; 40]);
        assert_eq!(names(&bytes), ["rx_bytes", "tx_bytes"]);
        let bytes = [[0u8; 4].to_vec(), 1u32.to_ne_bytes().to_vec(), vec![1; 16]].concat();
        assert_eq!(numbers(&bytes).collect::<Vec<_>>(), [0x0101_0101_0101_0101]);
    }

    #[test]
    fn numbers_that_do_not_belong_to_the_names_are_not_told() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(named(names(), vec![1, 2]).unwrap()[1], ("b".to_owned(), 2));
        for numbers in [vec![1], vec![1, 2, 3]] {
            assert!(named(names(), numbers).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (driver(&bytes), old_link(&bytes));
            prop_assert!(link(&bytes).supported.0.len() <= 127);
            prop_assert!(names(&bytes).len() <= 6 && numbers(&bytes).count() <= 25);
        }
    }
}
