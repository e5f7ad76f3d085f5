//! The files in which ZFS on Linux prints its statistics (module/os/linux/spl/spl-kstat.c).
//!
//! Most have a row for each statistic, `name type data`; the I/O of a pool has one row of names and one of
//! numbers. It must not know which statistics there are.

use vigie_core::metric::Value;

use crate::parse::{lines, number, shown, signed, words};

/// A statistic.
pub(super) struct Row<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Value<'static>,
}

/// A row, or what is wrong with it, with the number of its line.
pub(super) type Numbered<'a> = (usize, Result<Row<'a>, String>);

/// `KSTAT_DATA_INT64` and `KSTAT_DATA_UINT64`.
const SIGNED: &[u8] = b"3";
const UNSIGNED: &[u8] = b"4";

/// The rows that hold whole numbers; others hold texts and times.
pub(super) fn rows(file: &[u8]) -> impl Iterator<Item = Numbered<'_>> {
    body(file).filter_map(|(line_number, line)| {
        let mut words = words(line);
        let (name, kind, data) = (words.next()?, words.next()?, words.next()?);
        let value = match kind {
            SIGNED => signed(data).map(Value::from),
            UNSIGNED => number(data).map(Value::from),
            _ => return None,
        };
        Some((line_number, row(name, value, data)))
    })
}

fn row<'a>(name: &'a [u8], value: Option<Value<'static>>, data: &[u8]) -> Result<Row<'a>, String> {
    let value = value.ok_or_else(|| format!("expected a number, found {}", shown(data)))?;
    Ok(Row { name, value })
}

/// The text of the row `dataset_name`, which may hold blanks.
pub(super) fn dataset(file: &[u8]) -> Option<&[u8]> {
    body(file).find_map(|(_, line)| {
        let kind_and_name = line.strip_prefix(b"dataset_name")?.trim_ascii_start();
        let blank = kind_and_name.iter().position(u8::is_ascii_whitespace)?;
        let name = kind_and_name[blank..].trim_ascii();
        (!name.is_empty()).then_some(name)
    })
}

/// What follows the heading of the columns.
fn body(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_heading = |line: &[u8]| words(line).eq([&b"name"[..], b"type", b"data"]);
    lines(file).skip_while(move |(_, line)| !is_heading(line)).skip(1)
}

/// The columns of a pool's `io`.
pub(super) fn columns(file: &[u8]) -> Vec<Numbered<'_>> {
    let is_heading = |line: &[u8]| words(line).next() == Some(b"nread");
    let mut lines = lines(file).skip_while(|(_, line)| !is_heading(line));
    let (Some((_, names)), Some((line_number, numbers))) = (lines.next(), lines.next()) else {
        return Vec::new();
    };
    let pairs = words(names).zip(words(numbers));
    pairs
        .map(|(name, data)| (line_number, row(name, number(data).map(Value::from), data)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADING: &str = "13 1 0x01 91 4368 5266997922 97951858082072\nname type data\n";

    fn shown_rows<'a>(rows: impl IntoIterator<Item = Numbered<'a>>) -> Vec<String> {
        let show = |(line, row): Numbered<'_>| match row {
            Ok(row) => format!("{line} {} {:?}", String::from_utf8_lossy(row.name), row.value),
            Err(what) => format!("{line} {what}"),
        };
        rows.into_iter().map(show).collect()
    }

    #[test]
    fn whole_numbers_are_rows_and_the_heading_is_none() {
        let file = format!(
            "{HEADING}hits 4 18446744073709551615\nfree 3 -9\nname 7 x\nbad 4 -1\ncut 4\nlate 3 1 2\n"
        );
        assert_eq!(
            shown_rows(rows(file.as_bytes())),
            [
                "3 hits U64(18446744073709551615)",
                "4 free F64(-9.0)",
                "6 expected a number, found \"-1\"",
                "8 late U64(1)"
            ]
        );
        assert!(rows(b"hits 4 1\n").next().is_none(), "nothing comes before the heading");
    }

    #[test]
    fn a_dataset_may_hold_blanks() {
        let file =
            format!("{HEADING}dataset_name                    7    pool 1/a  b \nreads 4 1\n");
        assert_eq!(dataset(file.as_bytes()), Some(&b"pool 1/a  b"[..]));
        assert_eq!(dataset(format!("{HEADING}dataset_name 7\n").as_bytes()), None);
        assert_eq!(dataset(b""), None);
    }

    #[test]
    fn columns_have_their_names_above_them() {
        let file = b"12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads\n1884160  x  22\n";
        assert_eq!(
            shown_rows(columns(file)),
            ["3 nread U64(1884160)", "3 expected a number, found \"x\"", "3 reads U64(22)"]
        );
        assert!(columns(b"nread reads\n").is_empty());
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "(name type data|dataset_name 7|[a-c-]{1,3} [347] [0-9-]{0,21}|nread x|[0-9 ]{0,30}|\n){0,8}") {
            rows(text.as_bytes()).count();
            columns(text.as_bytes());
            dataset(text.as_bytes());
        }
    }
}
