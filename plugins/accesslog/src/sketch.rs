//! Percentiles in little memory.
//!
//! Logarithmic buckets of 1 % relative error that can be added, unlike percentiles themselves; the
//! only file that names the sketch's crate. It must not know what is measured.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sketches_ddsketch::DDSketch;

/// Seconds, sketched.
#[derive(Clone, Default)]
pub(crate) struct Sketch(DDSketch);

impl Sketch {
    pub(crate) fn add(&mut self, seconds: f64) {
        self.0.add(seconds);
    }

    pub(crate) fn merge(&mut self, other: &Sketch) {
        // All sketches have the same configuration, which is all that merging can object to.
        let merged = self.0.merge(&other.0);
        debug_assert!(merged.is_ok());
    }

    /// `None` when it is empty; `quantile` is between 0 and 1.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        self.0.quantile(quantile).ok().flatten()
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("count", &self.0.count()).finish_non_exhaustive()
    }
}

/// An empty sketch has infinite bounds, which JSON cannot hold: it is `null`.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.count() > 0).then_some(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Sketch(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_json() {
        let mut sketch = Sketch::default();
        let copy = |sketch: &Sketch| -> Sketch {
            serde_json::from_str(&serde_json::to_string(sketch).unwrap()).unwrap()
        };
        assert_eq!(copy(&sketch).quantile(0.5), None);
        [0.0, 0.1, 0.2].into_iter().for_each(|seconds| sketch.add(seconds));
        let mut doubled = copy(&sketch);
        doubled.merge(&sketch);
        assert_eq!(doubled.quantile(0.5), sketch.quantile(0.5));
        assert_eq!(doubled.quantile(1.0), Some(0.2));
    }
}
