//! The files of the NFS client and server (PROC/1/net/rpc/{nfs,nfsd}): lines of a name and numbers.
//!
//! The requests of each protocol version stand on one line, a column for each method. It must not know which
//! methods there are.

use vigie_core::metric::Opened;

use crate::parse::{lines, number, shown, words};

/// The numbers of a line.
pub(crate) type Numbers<'n> = &'n [u64];

/// Hands the name and the numbers of each line to `take`; the first line that is not understood is the error. Of
/// a name that comes twice only the first line counts.
pub(crate) fn read(
    file: &[u8],
    numbers: &mut Vec<u64>,
    mut take: impl FnMut(&[u8], Numbers<'_>) -> Result<(), String>,
) -> Result<(), (usize, String)> {
    let mut result = Ok(());
    let mut met: Vec<&[u8]> = Vec::new();
    for (line_number, line) in lines(file).take(MOST_LINES) {
        let mut words = words(line);
        let Some(name) = words.next().filter(|name| !met.contains(name)) else { continue };
        met.push(name);
        numbers.clear();
        // A decimal fraction (line `th`) ends the numbers.
        numbers.extend(words.map_while(number));
        let taken = take(name, numbers).map_err(|what| format!("{what}, found {}", shown(line)));
        if let Err(what) = taken {
            result = result.and(Err((line_number, what)));
        }
    }
    result
}

/// Kernels print about a dozen; what is longer is another file.
const MOST_LINES: usize = 64;

/// The first `N` numbers.
pub(crate) fn first<const N: usize>(numbers: Numbers<'_>) -> Result<[u64; N], String> {
    let first = numbers.first_chunk::<N>();
    first.copied().ok_or_else(|| format!("expected {N} numbers"))
}

/// The columns of a line whose first number counts them; at least `fewest`.
pub(crate) fn columns(numbers: Numbers<'_>, fewest: usize) -> Result<Numbers<'_>, String> {
    let [count] = first(numbers)?;
    match numbers.get(1..) {
        Some(columns) if columns.len() as u64 == count && columns.len() >= fewest => Ok(columns),
        _ => Err(format!("expected their number and at least {fewest} columns")),
    }
}

/// Pushes one sample for each of the methods, names separated by blanks, except where there is a dash instead of a
/// name. Columns that an older kernel lacks are 0, those of newer ones pass.
pub(crate) fn emit_requests(
    family: &mut Opened<'_, 2>,
    protocol: &str,
    methods: &str,
    columns: Numbers<'_>,
) {
    for (index, method) in methods.split(' ').enumerate().filter(|(_, method)| *method != "-") {
        family.emit([method, protocol], columns.get(index).copied().unwrap_or(0));
    }
}

/// How many methods NFS versions 2 and 3 have.
pub(crate) const COUNT_2: usize = 18;
pub(crate) const COUNT_3: usize = 22;

/// The methods of NFS version 2 (RFC 1094).
pub(crate) const METHODS_2: &str = "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link \
    SymLink MkDir RmDir ReadDir FsStat";

/// The methods of NFS version 3 (RFC 1813).
pub(crate) const METHODS_3: &str = "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove \
    RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_numbers_and_count_once() {
        let mut seen = Vec::new();
        let file = b"th 8 0 0.000 5\nnet 1 2\n\nnet 3\nbad\n";
        let result = read(file, &mut Vec::new(), |name, numbers| {
            seen.push((String::from_utf8_lossy(name).into_owned(), numbers.to_vec()));
            first::<1>(numbers).map(drop)
        });
        assert_eq!(
            seen,
            [("th".into(), vec![8, 0]), ("net".into(), vec![1, 2]), ("bad".into(), vec![])]
        );
        assert_eq!(result.unwrap_err(), (5, "expected 1 numbers, found \"bad\"".to_owned()));
    }

    #[test]
    fn methods_are_as_many_as_columns() {
        assert_eq!(METHODS_2.split(' ').count(), COUNT_2);
        assert_eq!(METHODS_3.split(' ').count(), COUNT_3);
    }

    #[test]
    fn the_first_number_counts_the_columns() {
        assert_eq!(columns(&[2, 7, 8], 2).unwrap(), [7, 8]);
        for bad in [&[][..], &[3, 7, 8], &[1, 7, 8], &[u64::MAX, 7], &[1, 7]] {
            assert!(columns(bad, 2).is_err(), "{bad:?}");
        }
    }
}
