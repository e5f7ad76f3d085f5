//! Tables with one column per CPU: PROC/interrupts, PROC/softirqs.
//!
//! The headings name the CPUs; one that is offline may be missing among them. It must not know what the rows
//! count.

use std::collections::HashSet;

use crate::parse::{count, lines, number, shown, text, words};

/// What is kept of a table from reading to reading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    headings: Vec<u8>,
    cpus: Vec<String>,
    counts: Vec<u64>,
}

/// `name: count count ... rest`, one count for each CPU.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a [u8],
    /// The numbers of the CPUs, as labels.
    pub(crate) cpus: &'a [String],
    pub(crate) counts: &'a [u64],
    pub(crate) rest: &'a [u8],
}

/// The name of a row, and what stands behind its counts.
type Parts<'a> = (&'a [u8], &'a [u8]);

impl Table {
    /// Hands every row to `take`, but for those with fewer columns than there are CPUs, which count nothing per
    /// CPU; the first line that is not understood is the error, with its number.
    pub(crate) fn read(
        &mut self,
        table: &[u8],
        mut take: impl FnMut(&Row<'_>),
    ) -> Result<(), (usize, String)> {
        let mut lines = lines(table);
        let headings = lines.next().map_or(&[][..], |(_, line)| line);
        self.learn(headings).map_err(|what| (1, what))?;
        let mut result = Ok(());
        for (line_number, line) in lines {
            match self.parse(line) {
                Ok(None) => {}
                Ok(Some((name, rest))) => {
                    take(&Row { name, cpus: &self.cpus, counts: &self.counts, rest });
                }
                Err(what) => result = result.and(Err((line_number, what))),
            }
        }
        result
    }

    /// `CPU0  CPU2`
    fn learn(&mut self, headings: &[u8]) -> Result<(), String> {
        if self.headings == headings && !headings.is_empty() {
            return Ok(());
        }
        self.headings.clear();
        self.cpus.clear();
        let mut met = HashSet::new();
        for word in words(headings) {
            let cpu =
                word.strip_prefix(b"CPU").filter(|cpu| number(cpu).is_some() && met.insert(*cpu));
            let cpu = cpu.ok_or_else(|| format!("expected a CPU, found {}", shown(word)))?;
            self.cpus.push(text(cpu).into_owned());
        }
        if self.cpus.is_empty() {
            return Err(format!("expected CPUs, found {}", shown(headings)));
        }
        self.headings.extend_from_slice(headings);
        Ok(())
    }

    /// The name and what stands behind the counts; on some machines no blank stands behind the colon.
    fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Option<Parts<'a>>, String> {
        let Some(colon) = memchr::memchr(b':', line) else { return Ok(None) };
        let (name, mut rest) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        self.counts.clear();
        for _ in &self.cpus {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            self.counts.push(count(Some(&rest[..end]))?);
            rest = &rest[end..];
        }
        Ok(Some((name, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(table: &mut Table, file: &str) -> (String, Result<(), (usize, String)>) {
        let mut out = String::new();
        let result = table.read(file.as_bytes(), |row| {
            out +=
                &format!("{}:{:?}={:?}{}\n", text(row.name), row.cpus, row.counts, text(row.rest));
        });
        (out, result)
    }

    #[test]
    fn cpus_are_those_of_the_headings() {
        let mut table = Table::default();
        let (text, result) =
            shown_of(&mut table, "  CPU0  CPU2\n 1:  5   6  a  b\nERR: 1\nX:7 8\n\n");
        assert_eq!(text, "1:[\"0\", \"2\"]=[5, 6]  a  b\nX:[\"0\", \"2\"]=[7, 8]\n");
        assert_eq!(result, Ok(()));
        assert!(shown_of(&mut table, "CPU0\n1: 5 6\n").0.starts_with("1:[\"0\"]=[5] 6"));
    }

    #[test]
    fn bad_headings_are_refused_each_time() {
        let mut table = Table::default();
        for bad in ["", "\n", "CPU0 CPU0\n", "CPU0 x\n1: 5 6\n", "CPU\n"] {
            for _ in 0..2 {
                let (text, result) = shown_of(&mut table, bad);
                assert!(text.is_empty() && result.unwrap_err().0 == 1, "{bad:?}");
            }
        }
    }

    #[test]
    fn a_bad_row_costs_itself_only() {
        let (text, result) = shown_of(&mut Table::default(), "CPU0\na: x\nb: 5\n");
        assert_eq!(text, "b:[\"0\"]=[5]\n");
        assert_eq!(result, Err((2, "expected a count, found \"x\"".to_owned())));
    }
}
