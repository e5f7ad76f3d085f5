//! The kernel's description of its processors (PROC/cpuinfo).
//!
//! Read for the information series of the collector `cpu`, and only when asked for. It must not
//! know metrics; keys that an architecture lacks are empty.

use std::borrow::Cow;

use crate::parse::{float, lines, text};

/// One processor; every text is as printed, empty where it is not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Processor<'a> {
    pub(crate) number: Cow<'a, str>,
    pub(crate) vendor: Cow<'a, str>,
    pub(crate) family: Cow<'a, str>,
    pub(crate) model: Cow<'a, str>,
    pub(crate) model_name: Cow<'a, str>,
    pub(crate) stepping: Cow<'a, str>,
    pub(crate) microcode: Cow<'a, str>,
    pub(crate) cache_size: Cow<'a, str>,
    pub(crate) package: Cow<'a, str>,
    pub(crate) core: Cow<'a, str>,
    /// Separated by blanks; `Features` on ARM.
    pub(crate) flags: Cow<'a, str>,
    /// Separated by blanks.
    pub(crate) bugs: Cow<'a, str>,
    pub(crate) megahertz: Option<f64>,
}

/// The processors in the order of the file; a line without a colon ends nothing and says nothing.
pub(crate) fn parse(file: &[u8]) -> Vec<Processor<'_>> {
    let mut processors = Vec::new();
    for (_, line) in lines(file) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (key, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if key == b"processor" {
            processors.push(Processor { number: text(value), ..Processor::default() });
        } else if let Some(processor) = processors.last_mut() {
            set(processor, key, value);
        }
    }
    processors
}

fn set<'a>(processor: &mut Processor<'a>, key: &[u8], value: &'a [u8]) {
    let field = match key {
        b"vendor_id" => &mut processor.vendor,
        b"cpu family" => &mut processor.family,
        b"model" => &mut processor.model,
        b"model name" => &mut processor.model_name,
        b"stepping" => &mut processor.stepping,
        b"microcode" => &mut processor.microcode,
        b"cache size" => &mut processor.cache_size,
        b"physical id" => &mut processor.package,
        b"core id" => &mut processor.core,
        b"flags" | b"Features" => &mut processor.flags,
        b"bugs" => &mut processor.bugs,
        b"cpu MHz" => {
            processor.megahertz = float(value);
            return;
        }
        _ => return,
    };
    *field = text(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn processors_are_told_apart() {
        let file = b"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu MHz\t\t: 2994.374\nflags\t\t: fpu vme\n\n\
            processor\t: 1\nmodel name\t: AMD EPYC: 9B14\nbugs\t\t: sysret_ss_attrs\n";
        let found = parse(file);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (&*found[0].number, &*found[0].vendor, &*found[0].flags),
            ("0", "AuthenticAMD", "fpu vme")
        );
        assert_eq!(found[0].megahertz, Some(2994.374));
        assert_eq!((&*found[1].model_name, &*found[1].bugs), ("AMD EPYC: 9B14", "sysret_ss_attrs"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
