//! The numbers of a PCI device, and their names from the file pci.ids.
//!
//! The file is large and needed only for devices not met before, so it is read then and not kept. It must not know
//! where a device is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use vigie_core::collect::{BuildError, Setting};

use crate::parse;
use crate::sysfs::Attributes;

/// Class, vendor, device, the board's vendor and number, and revision; nothing where a file is missing.
#[derive(Debug)]
pub(super) struct Numbers([Option<u64>; 6]);

const FILES: [(&str, usize); 6] = [
    ("class", 6),
    ("vendor", 4),
    ("device", 4),
    ("subsystem_vendor", 4),
    ("subsystem_device", 4),
    ("revision", 2),
];

impl Numbers {
    pub(super) fn read(directory: &Path, attributes: &mut Attributes) -> Self {
        let mut number = |file| attributes.optional(directory, file).and_then(parse::hexadecimal);
        Numbers(FILES.map(|(file, _)| number(file)))
    }

    /// With `0x` and as many digits as the kernel prints.
    pub(super) fn labels(&self) -> [String; 6] {
        let mut labels = FILES.map(|_| String::new());
        for ((label, number), (_, digits)) in labels.iter_mut().zip(self.0).zip(FILES) {
            if let Some(number) = number {
                *label = format!("{number:#0width$x}", width = digits + 2);
            }
        }
        labels
    }
}

/// Where pci.ids is.
#[derive(Debug)]
pub(super) struct IdFile(Option<PathBuf>);

/// Where distributions put it.
const USUAL: [&str; 3] =
    ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids"];

impl IdFile {
    /// The file that `flag` names, or else the first of the usual ones.
    ///
    /// # Errors
    /// When a file that was asked for cannot be read.
    pub(super) fn find(setting: &Setting, flag: &str) -> Result<Self, BuildError> {
        let given = setting.flags.text(flag);
        if given.is_empty() {
            let found =
                USUAL.iter().map(|path| setting.paths.root(path)).find(|path| path.is_file());
            if found.is_none() {
                tracing::warn!(
                    "pcidevice: none of {USUAL:?} below --path.rootfs: numbers stand for names"
                );
            }
            return Ok(IdFile(found));
        }
        match std::fs::File::open(given) {
            Ok(_) => Ok(IdFile(Some(given.into()))),
            Err(error) => {
                Err(setting.flags.error(flag, format!("cannot read {given}: {error}")).into())
            }
        }
    }

    /// Fills in the names of devices. What has no name keeps its number, without `0x`.
    pub(super) fn name<'d>(
        &self,
        devices: impl Iterator<Item = (&'d Numbers, &'d mut Option<[String; 5]>)>,
    ) {
        let text = self.0.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let ids = Ids::parse(&text);
        for (numbers, names) in devices {
            *names = Some(ids.names(numbers));
        }
    }
}

/// The names of a file, by number.
#[derive(Debug, Default)]
struct Ids<'t> {
    vendors: HashMap<u64, &'t [u8]>,
    devices: HashMap<[u64; 2], &'t [u8]>,
    /// By vendor and device, and the board's vendor and number.
    boards: HashMap<[u64; 4], &'t [u8]>,
    classes: HashMap<u64, &'t [u8]>,
    subclasses: HashMap<[u64; 2], &'t [u8]>,
}

impl<'t> Ids<'t> {
    /// Lines without a tab are vendors and, with `C `, classes; with one tab what belongs to the last of these, and
    /// with two tabs boards. Lines that are neither are comments.
    fn parse(text: &'t [u8]) -> Self {
        let mut ids = Ids::default();
        let (mut vendor, mut device, mut class) = (None, None, None);
        for (_, line) in parse::lines(text) {
            if let Some(rest) = line.strip_prefix(b"\t\t") {
                ids.add_board(vendor, device, rest);
            } else if let Some(rest) = line.strip_prefix(b"\t") {
                let Some((number, name)) = split(rest) else { continue };
                if let Some(class) = class {
                    ids.subclasses.insert([class, number], name);
                } else if let Some(vendor) = vendor {
                    device = Some(number);
                    ids.devices.insert([vendor, number], name);
                }
            } else if let Some(rest) = line.strip_prefix(b"C ") {
                let Some((number, name)) = split(rest) else { continue };
                (vendor, device, class) = (None, None, Some(number));
                ids.classes.insert(number, name);
            } else if let Some((number, name)) = split(line) {
                (vendor, device, class) = (Some(number), None, None);
                ids.vendors.insert(number, name);
            }
        }
        ids
    }

    fn add_board(&mut self, vendor: Option<u64>, device: Option<u64>, line: &'t [u8]) {
        if let (Some(vendor), Some(device)) = (vendor, device)
            && let Some((board_vendor, rest)) = split(line)
            && let Some((board, name)) = split(rest)
        {
            self.boards.insert([vendor, device, board_vendor, board], name);
        }
    }

    fn names(&self, numbers: &Numbers) -> [String; 5] {
        let [class, vendor, device, board_vendor, board] = [0, 1, 2, 3, 4].map(|at| numbers.0[at]);
        let class_name = class.and_then(|class| {
            let subclass = self.subclasses.get(&[class >> 16, class >> 8 & 0xff]);
            subclass.or_else(|| self.classes.get(&(class >> 16)))
        });
        let vendor_name = |vendor: Option<u64>| self.vendors.get(&vendor?);
        let model = || self.devices.get(&[vendor?, device?]);
        let board_name = || self.boards.get(&[vendor?, device?, board_vendor?, board?]);
        let found =
            [class_name, vendor_name(vendor), model(), vendor_name(board_vendor), board_name()];
        let labels = numbers.labels();
        let mut names = [const { String::new() }; 5];
        for ((name, found), label) in names.iter_mut().zip(found).zip(&labels) {
            *name = match found {
                Some(found) => parse::text(found).into_owned(),
                None => label.trim_start_matches("0x").to_owned(),
            };
        }
        names
    }
}

/// A hexadecimal number and what follows it; nothing where nothing follows.
fn split(line: &[u8]) -> Option<(u64, &[u8])> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let (number, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_ascii();
    Some((parse::hexadecimal(number)?, rest)).filter(|_| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &[u8] = b"# comment\n\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\
        \t73ff  Navi 23\n\t\t1da2 e445  RX 6600\n1da2  Sapphire\n\
        C 03  Display controller\n\t00  VGA compatible controller\n\t\t00  VGA controller\n";

    fn names(numbers: [Option<u64>; 6]) -> [String; 5] {
        Ids::parse(FILE).names(&Numbers(numbers))
    }

    #[test]
    fn what_has_a_name_gets_it_and_what_has_none_keeps_its_number() {
        let all = [0x03_0000, 0x1002, 0x73ff, 0x1da2, 0xe445, 0xc7].map(Some);
        let expected = [
            "VGA compatible controller",
            "Advanced Micro Devices, Inc. [AMD/ATI]",
            "Navi 23",
            "Sapphire",
            "RX 6600",
        ];
        assert_eq!(names(all), expected);
        let other = [Some(0x03_8000), Some(0x8086), Some(0x73ff), None, Some(1), None];
        assert_eq!(names(other), ["Display controller", "8086", "73ff", "", "0001"]);
    }

    #[test]
    fn numbers_have_as_many_digits_as_the_kernel_prints() {
        let numbers = Numbers([Some(0x6_0400), Some(0x8086), Some(1), None, None, Some(0xf)]);
        assert_eq!(numbers.labels(), ["0x060400", "0x8086", "0x0001", "", "", "0x0f"]);
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "(\t{0,2}(C )?[0-9a-f]{0,4} ?[a-z\u{e9}]{0,3}\n){0,9}") {
            let all = [0x03_0000, 0x1002, 0x73ff, 0x1da2, 0xe445, 0xc7].map(Some);
            let names = Ids::parse(text.as_bytes()).names(&Numbers(all));
            prop_assert!(names.iter().all(|name| !name.is_empty()));
        }
    }
}
