//! Network traffic of a container, from `PROC/PID/net/dev` of one of its processes.
//!
//! A process sees the interfaces of its own network namespace, so no namespace is entered. It must
//! not know which container the process belongs to.

use crate::cgroup::{lines, parse_number, split_once};

/// What cAdvisor leaves out: loopback and the host's ends of container links.
const IGNORED: [&str; 4] = ["lo", "veth", "docker", "nerdctl"];

/// The figures of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) receive: Traffic,
    pub(crate) transmit: Traffic,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) errors: u64,
    pub(crate) dropped: u64,
}

/// The interfaces cAdvisor shows, in the kernel's order. Lines of another form, among them the
/// two of the heading, are passed over.
pub(crate) fn parse_net_dev(text: &[u8]) -> Vec<Interface> {
    lines(text).filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Interface> {
    let (name, figures) = split_once(line, b':')?;
    let name = std::str::from_utf8(name.trim_ascii()).ok()?;
    if name.is_empty() || IGNORED.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let mut figures =
        figures.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(parse_number);
    let mut traffic = || {
        let [bytes, packets, errors, dropped] =
            [figures.next()??, figures.next()??, figures.next()??, figures.next()??];
        // Four columns follow that cAdvisor does not show.
        for _ in 0..4 {
            figures.next()?;
        }
        Some(Traffic { bytes, packets, errors, dropped })
    };
    Some(Interface { name: name.to_owned(), receive: traffic()?, transmit: traffic()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth0:1476 18 1 2 0 0 0 0 656 8 3 4 0 0 0 0
vethab1: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
";

    #[test]
    fn loopback_and_host_links_are_left_out() {
        let interfaces = parse_net_dev(TEXT.as_bytes());
        let receive = Traffic { bytes: 1476, packets: 18, errors: 1, dropped: 2 };
        let transmit = Traffic { bytes: 656, packets: 8, errors: 3, dropped: 4 };
        assert_eq!(interfaces, [Interface { name: "eth0".into(), receive, transmit }]);
    }

    #[test]
    fn a_line_cut_short_is_passed_over() {
        for line in
            ["eth0:", "eth0: 1 2 3 4 5 6 7 8", "eth0: x 2 3 4 5 6 7 8 9 10 11 12 0 0 0 0", ":"]
        {
            assert_eq!(parse_net_dev(line.as_bytes()), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            prop_assert!(parse_net_dev(&text).len() <= text.len());
        }

        #[test]
        fn columns_stay_in_place(figures in proptest::array::uniform16(any::<u64>())) {
            let line = figures.map(|figure| figure.to_string()).join(" ");
            let found = parse_net_dev(format!("wlan0: {line}\n").as_bytes());
            prop_assert_eq!(found[0].receive.dropped, figures[3]);
            prop_assert_eq!(found[0].transmit.bytes, figures[8]);
            prop_assert_eq!(found[0].transmit.dropped, figures[11]);
        }
    }
}
