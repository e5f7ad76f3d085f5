//! Dice: a collector plugin to copy from.
//!
//! It throws some dice at every scrape. The same source links into a program (name [`PLUGIN`]) and
//! loads from a file (`vigie serve --plugin libvigie_example_dice.so`), and reads its section:
//!
//! ```yaml
//! dice:
//!   dice: 2
//!   sides: 6
//!   seed: 42
//! ```

use std::sync::Arc;

use serde::Deserialize;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape,
};
use vigie_core::config::ConfigError;
use vigie_core::metric::{Family, HistogramView, MetricSink};
use vigie_core::plugin::{Parts, Plugin, Setup};

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new("dice", env!("CARGO_PKG_VERSION"), "Throws dice.")
    .collectors(|| vec![DICE.info])
    .build(build);

vigie_core::export_plugin!(PLUGIN);

static DICE: CollectorDef<Config> = CollectorDef {
    info: CollectorInfo::new("dice", "Dice thrown at every scrape.")
        .reads("nothing")
        .families(&[FACES.doc(), SUM.doc()]),
    build: Dice::build,
};

static FACES: Family<1> =
    Family::counter("vigie_dice_faces_total", "How often each face has come up.", ["face"]);
static SUM: Family = Family::histogram("vigie_dice_sum", "Sum of the dice of one throw.", []);

/// The section `dice` of `vigie.yml`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Dice in one throw.
    dice: u8,
    /// Faces of each.
    sides: u8,
    /// Equal seeds throw equally.
    seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { dice: 2, sides: 6, seed: 1 }
    }
}

fn build(setup: &Setup<'_>) -> Result<Parts, ConfigError> {
    let config: Option<Config> = setup.section("dice").read()?;
    let mut parts = Parts::default();
    parts.collectors.push(DICE.bind(Arc::new(config.unwrap_or_default())));
    Ok(parts)
}

struct Dice {
    dice: u8,
    random: u64,
    /// How often each face has come up, with the face as its label.
    faces: Vec<(String, u64)>,
    /// How often each sum was at most that, cumulative as a histogram is.
    sums: Vec<(f64, u64)>,
    total: u64,
    throws: u64,
}

impl Dice {
    fn build(config: &Config) -> Result<Box<dyn Collector>, BuildError> {
        if config.sides == 0 || config.dice == 0 {
            return Err(BuildError::new("dice: at least one die with one side is needed"));
        }
        Ok(Box::new(Dice::new(config)))
    }

    fn new(config: &Config) -> Self {
        let least = u16::from(config.dice);
        let most = least * u16::from(config.sides);
        Dice {
            dice: config.dice,
            random: config.seed,
            faces: (1..=config.sides).map(|face| (face.to_string(), 0)).collect(),
            sums: (least..=most).map(|sum| (f64::from(sum), 0)).collect(),
            total: 0,
            throws: 0,
        }
    }

    fn throw(&mut self) {
        let mut sum = 0;
        for _ in 0..self.dice {
            let face = self.random() as usize % self.faces.len();
            sum += face as u64 + 1;
            if let Some((_, count)) = self.faces.get_mut(face) {
                *count += 1;
            }
        }
        for (_, count) in self.sums.iter_mut().filter(|(bound, _)| *bound >= sum as f64) {
            *count += 1;
        }
        self.total += sum;
        self.throws += 1;
    }

    /// splitmix64: small, and good enough for a game.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Collector for Dice {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.throw();
        let mut faces = FACES.open(sink);
        for (face, count) in &self.faces {
            faces.emit([face], *count);
        }
        let sum = self.total as f64;
        SUM.emit(sink, [], &HistogramView { buckets: &self.sums, sum, count: self.throws });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_throw_counts_once() {
        let mut dice = Dice::new(&Config { dice: 3, sides: 4, seed: 9 });
        for _ in 0..100 {
            dice.throw();
        }
        assert_eq!(dice.faces.iter().map(|(_, count)| count).sum::<u64>(), 300);
        assert_eq!(dice.sums.last(), Some(&(12.0, 100)));
        assert!((300..=1200).contains(&dice.total), "{}", dice.total);
    }

    #[test]
    fn no_dice_cannot_be_thrown() {
        assert!(Dice::build(&Config { dice: 0, ..Config::default() }).is_err());
        assert!(Dice::build(&Config { sides: 0, ..Config::default() }).is_err());
    }
}
