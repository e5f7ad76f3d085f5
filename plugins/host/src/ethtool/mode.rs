//! The link modes of linux/ethtool.h: a bit for each speed, port and capability.
//!
//! Newer kernels append bits, which no name is known for here. It must not know how a set of them was read.

use vigie_core::metric::Family;

/// A speed an interface can have.
pub(super) struct Mode {
    pub(super) bit: usize,
    /// Mbit/s.
    speed: u64,
    /// `half` or `full`.
    pub(super) duplex: &'static str,
    pub(super) name: &'static str,
}

impl Mode {
    pub(super) fn bytes_per_second(&self) -> u64 {
        self.speed * 1_000_000 / 8
    }
}

/// Something that both ends must be capable of.
pub(super) struct Capability {
    pub(super) bit: usize,
    pub(super) supported: Family<1>,
    pub(super) advertised: Family<1>,
}

/// Kinds of ports.
pub(super) static PORTS: [(&str, usize); 6] =
    [("TP", 7), ("AUI", 8), ("MII", 9), ("FIBRE", 10), ("BNC", 11), ("Backplane", 16)];

pub(super) static CAPABILITIES: [Capability; 3] = [
    Capability {
        bit: 6,
        supported: gauge(
            "node_network_autonegotiate_supported",
            "Whether the interface can negotiate its speed.",
        ),
        advertised: gauge(
            "node_network_autonegotiate_advertised",
            "Whether the interface offers to negotiate its speed.",
        ),
    },
    Capability {
        bit: 13,
        supported: gauge(
            "node_network_pause_supported",
            "Whether the interface can send pause frames.",
        ),
        advertised: gauge(
            "node_network_pause_advertised",
            "Whether the interface offers pause frames.",
        ),
    },
    Capability {
        bit: 14,
        supported: gauge(
            "node_network_asymmetricpause_supported",
            "Whether the interface can send pause frames in one direction.",
        ),
        advertised: gauge(
            "node_network_asymmetricpause_advertised",
            "Whether the interface offers pause frames in one direction.",
        ),
    },
];

const fn gauge(name: &'static str, help: &'static str) -> Family<1> {
    Family::gauge(name, help, ["device"])
}

/// In the order of their bits.
pub(super) static MODES: [Mode; 80] = [
    mode(0, 10, "half", "10baseT"),
    mode(1, 10, "full", "10baseT"),
    mode(2, 100, "half", "100baseT"),
    mode(3, 100, "full", "100baseT"),
    mode(4, 1000, "half", "1000baseT"),
    mode(5, 1000, "full", "1000baseT"),
    mode(12, 10000, "full", "10000baseT"),
    mode(15, 2500, "full", "2500baseX"),
    mode(17, 1000, "full", "1000baseKX"),
    mode(18, 10000, "full", "10000baseKX4"),
    mode(19, 10000, "full", "10000baseKR"),
    mode(20, 10000, "full", "10000baseR_FEC"),
    mode(21, 20000, "full", "20000baseMLD2"),
    mode(22, 20000, "full", "20000baseKR2"),
    mode(23, 40000, "full", "40000baseKR4"),
    mode(24, 40000, "full", "40000baseCR4"),
    mode(25, 40000, "full", "40000baseSR4"),
    mode(26, 40000, "full", "40000baseLR4"),
    mode(27, 56000, "full", "56000baseKR4"),
    mode(28, 56000, "full", "56000baseCR4"),
    mode(29, 56000, "full", "56000baseSR4"),
    mode(30, 56000, "full", "56000baseLR4"),
    mode(31, 25000, "full", "25000baseCR"),
    mode(32, 25000, "full", "25000baseKR"),
    mode(33, 25000, "full", "25000baseSR"),
    mode(34, 50000, "full", "50000baseCR2"),
    mode(35, 50000, "full", "50000baseKR2"),
    mode(36, 100000, "full", "100000baseKR4"),
    mode(37, 100000, "full", "100000baseSR4"),
    mode(38, 100000, "full", "100000baseCR4"),
    mode(39, 100000, "full", "100000baseLR4_ER4"),
    mode(40, 50000, "full", "50000baseSR2"),
    mode(41, 1000, "full", "1000baseX"),
    mode(42, 10000, "full", "10000baseCR"),
    mode(43, 10000, "full", "10000baseSR"),
    mode(44, 10000, "full", "10000baseLR"),
    mode(45, 10000, "full", "10000baseLRM"),
    mode(46, 10000, "full", "10000baseER"),
    mode(47, 2500, "full", "2500baseT"),
    mode(48, 5000, "full", "5000baseT"),
    mode(52, 50000, "full", "50000baseKR"),
    mode(53, 50000, "full", "50000baseSR"),
    mode(54, 50000, "full", "50000baseCR"),
    mode(55, 50000, "full", "50000baseLR_ER_FR"),
    mode(56, 50000, "full", "50000baseDR"),
    mode(57, 100000, "full", "100000baseKR2"),
    mode(58, 100000, "full", "100000baseSR2"),
    mode(59, 100000, "full", "100000baseCR2"),
    mode(60, 100000, "full", "100000baseLR2_ER2_FR2"),
    mode(61, 100000, "full", "100000baseDR2"),
    mode(62, 200000, "full", "200000baseKR4"),
    mode(63, 200000, "full", "200000baseSR4"),
    mode(64, 200000, "full", "200000baseLR4_ER4_FR4"),
    mode(65, 200000, "full", "200000baseDR4"),
    mode(66, 200000, "full", "200000baseCR4"),
    mode(67, 100, "full", "100baseT1"),
    mode(68, 1000, "full", "1000baseT1"),
    mode(69, 400000, "full", "400000baseKR8"),
    mode(70, 400000, "full", "400000baseSR8"),
    mode(71, 400000, "full", "400000baseLR8_ER8_FR8"),
    mode(72, 400000, "full", "400000baseDR8"),
    mode(73, 400000, "full", "400000baseCR8"),
    mode(75, 100000, "full", "100000baseKR"),
    mode(76, 100000, "full", "100000baseSR"),
    mode(77, 100000, "full", "100000baseLR_ER_FR"),
    mode(78, 100000, "full", "100000baseCR"),
    mode(79, 100000, "full", "100000baseDR"),
    mode(80, 200000, "full", "200000baseKR2"),
    mode(81, 200000, "full", "200000baseSR2"),
    mode(82, 200000, "full", "200000baseLR2_ER2_FR2"),
    mode(83, 200000, "full", "200000baseDR2"),
    mode(84, 200000, "full", "200000baseCR2"),
    mode(85, 400000, "full", "400000baseKR4"),
    mode(86, 400000, "full", "400000baseSR4"),
    mode(87, 400000, "full", "400000baseLR4_ER4_FR4"),
    mode(88, 400000, "full", "400000baseDR4"),
    mode(89, 400000, "full", "400000baseCR4"),
    mode(90, 100, "half", "100baseFX"),
    mode(91, 100, "full", "100baseFX"),
    mode(92, 10, "full", "10baseT1L"),
];

const fn mode(bit: usize, speed: u64, duplex: &'static str, name: &'static str) -> Mode {
    Mode { bit, speed, duplex, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_their_speed_and_bits_ascend() {
        assert!(MODES.is_sorted_by(|a, b| a.bit < b.bit));
        for mode in &MODES {
            assert!(mode.name.starts_with(&format!("{}base", mode.speed)), "{}", mode.name);
            let is_other = |bit: usize| PORTS.iter().any(|(_, port)| *port == bit);
            assert!(!is_other(mode.bit) && !CAPABILITIES.iter().any(|c| c.bit == mode.bit));
        }
    }
}
