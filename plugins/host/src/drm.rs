//! `drm`: load and memory of graphics cards (SYS/class/drm/cardN/device).
//!
//! Only the driver amdgpu tells these in sysfs. It must not know the connectors of a card, which are directories of
//! the same class.

use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::{Attribute, Unit, docs};
use crate::parse;
use crate::sysfs::{Attributes, Devices};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("drm", "Load and memory of AMD graphics cards.")
        .needs("an AMD graphics card")
        .reads("SYS/class/drm/card*/device")
        .off_by_default()
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(Drm {
            cards: Devices::new(setting.paths.sys("class/drm")),
            attributes: Attributes::new(),
        }))
    },
};

const fn gauge(file: &'static str, name: &'static str, help: &'static str) -> Attribute {
    Attribute::new(file, Family::gauge(name, help, ["card"]), Unit::One)
}

/// Documentation/gpu/amdgpu/driver-misc.rst.
static ATTRIBUTES: [Attribute; 7] = [
    gauge("gpu_busy_percent", "node_drm_gpu_busy_percent", "How busy each card is, 0 to 100."),
    gauge("mem_info_gtt_total", "node_drm_memory_gtt_size_bytes", "System memory a card may use."),
    gauge("mem_info_gtt_used", "node_drm_memory_gtt_used_bytes", "System memory a card uses."),
    gauge(
        "mem_info_vis_vram_total",
        "node_drm_memory_vis_vram_size_bytes",
        "Memory of each card that the CPU can reach.",
    ),
    gauge(
        "mem_info_vis_vram_used",
        "node_drm_memory_vis_vram_used_bytes",
        "Memory of each card that the CPU can reach and that is in use.",
    ),
    gauge("mem_info_vram_total", "node_drm_memory_vram_size_bytes", "Memory of each card."),
    gauge("mem_info_vram_used", "node_drm_memory_vram_used_bytes", "Memory of each card in use."),
];

static INFO: Family<5> = Family::gauge(
    "node_drm_card_info",
    "What each card is; always 1.",
    ["card", "memory_vendor", "power_performance_level", "unique_id", "vendor"],
);

static FAMILIES: [FamilyDoc; ATTRIBUTES.len() + 1] = docs(&[INFO.doc()], &ATTRIBUTES);

struct Drm {
    /// With the directory of the PCI device.
    cards: Devices<PathBuf>,
    attributes: Attributes,
}

impl Collector for Drm {
    /// A host without such a card is no failure, not even without the class.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.cards.list_any(|name, path| find(name, path, &mut self.attributes))?;
        for attribute in &ATTRIBUTES {
            let cards = self.cards.iter().map(|card| ([card.name.as_str()], &*card.kept));
            attribute.emit(&mut self.attributes, cards, sink);
        }
        let mut info = INFO.open(sink);
        for card in self.cards.iter() {
            let mut text = |file| self.attributes.text(&card.kept, file);
            let memory = text("mem_info_vram_vendor");
            let level = text("power_dpm_force_performance_level");
            info.emit([&card.name, &memory, &level, &text("unique_id"), "amd"], true);
        }
        Ok(())
    }
}

fn find(name: &str, path: &Path, attributes: &mut Attributes) -> Option<PathBuf> {
    parse::number(name.strip_prefix("card")?.as_bytes())?;
    let device = path.join("device");
    let events = attributes.optional(&device, "uevent")?;
    parse::lines(events).any(|(_, line)| line == b"DRIVER=amdgpu").then_some(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn cards_of_other_drivers_and_connectors_are_left_out() {
        let host = Host::new(&[
            ("sys/class/drm/card0/device/uevent", "DRIVER=i915\nPCI_CLASS=30000\n"),
            ("sys/class/drm/card0/device/gpu_busy_percent", "5\n"),
            ("sys/class/drm/card1/device/uevent", "PCI_CLASS=30000\nDRIVER=amdgpu\n"),
            ("sys/class/drm/card1/device/gpu_busy_percent", "4\n"),
            ("sys/class/drm/card1-DP-1/device/uevent", "DRIVER=amdgpu\n"),
        ]);
        let expected = "node_drm_gpu_busy_percent{card=\"card1\"} 4\n\
             node_drm_card_info{card=\"card1\",vendor=\"amd\"} 1\n";
        assert_eq!(lines(&host, &DEF), expected);
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
