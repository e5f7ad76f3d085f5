//! Lists of CPUs as the kernel and its tools write them: `0,2-5,8-64:4`.

/// More CPUs than any kernel supports: what names more is no list of CPUs.
const MOST: u32 = 1 << 16;

/// The CPUs of a list in order, each once.
///
/// # Errors
/// The part that is not understood.
pub(super) fn parse(list: &str) -> Result<Vec<u32>, String> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let bad = || format!("expected CPUs such as 0,2-5,8-64:4, found {part:?}");
        let number =
            |word: &str| word.parse::<u32>().ok().filter(|cpu| *cpu < MOST).ok_or_else(bad);
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if step == 0 || last < first {
            return Err(bad());
        }
        cpus.extend((first..=last).step_by(step as usize));
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_and_steps_are_understood() {
        assert_eq!(parse("1").unwrap(), [1]);
        assert_eq!(parse("1,0,1-3").unwrap(), [0, 1, 2, 3]);
        assert_eq!(parse("1-10:5").unwrap(), [1, 6]);
        for bad in ["", "a", "1-", "-1", "3-1", "1-5:0", "0-99999999999", "1,,2", "1-2-3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_survived(list in "[0-9,:-]{0,20}") {
            let _ = parse(&list);
        }

        #[test]
        fn a_list_comes_back(mut cpus in proptest::collection::vec(0..MOST, 1..9)) {
            let list: Vec<_> = cpus.iter().map(u32::to_string).collect();
            cpus.sort_unstable();
            cpus.dedup();
            prop_assert_eq!(parse(&list.join(",")).unwrap(), cpus);
        }
    }
}
