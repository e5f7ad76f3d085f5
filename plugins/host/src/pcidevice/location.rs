//! Where a PCI device is, as the kernel names its directory: `0000:0a:00.1`.
//!
//! The four parts are labels of every family. It must not know what is there.

use crate::parse::hexadecimal;

/// Segment, bus, device and function, as printed.
#[derive(Debug)]
pub(super) struct Location([String; 4]);

impl Default for Location {
    /// Where a device of the root complex lies behind.
    fn default() -> Self {
        Location(["*"; 4].map(str::to_owned))
    }
}

impl Location {
    /// Nothing for what is no device, such as `pci0000:00`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (rest, function) = name.rsplit_once('.')?;
        let mut parts = rest.split(':');
        let location = [parts.next()?, parts.next()?, parts.next()?, function];
        let are_numbers = location.iter().all(|part| hexadecimal(part.as_bytes()).is_some());
        (are_numbers && parts.next().is_none()).then(|| Location(location.map(str::to_owned)))
    }

    pub(super) fn labels(&self) -> [&str; 4] {
        self.0.each_ref().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_devices_are_locations() {
        let labels = |name| Location::parse(name).map(|l| l.labels().map(str::to_owned));
        assert_eq!(labels("0000:0a:1f.7").unwrap(), ["0000", "0a", "1f", "7"]);
        assert_eq!(labels("10000:00:00.0").unwrap()[0], "10000");
        for name in ["pci0000:00", "0000:00", "0000:00:00", "0000:00:00.0.0", "a:b:c:d.0", ""] {
            assert!(labels(name).is_none(), "{name}");
        }
        assert_eq!(Location::default().labels(), ["*"; 4]);
    }
}
