//! Lines out of chunks of bytes.
//!
//! A live file and an offline report cut lines the same way: a half line waits for its newline, an
//! endless one is skipped. It must not know where the bytes come from.

use memchr::memchr;

/// The longest line that is read. Traefik logs whole URLs, which clients may make 100 kB long.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line without its newline.
    Whole(&'a [u8]),
    /// A line longer than [`MAX_LINE`], skipped.
    TooLong,
}

/// Cuts a stream into lines; owns the half line at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// Bytes since the last newline, among them those that were too many to keep.
    pending: u64,
}

impl Lines {
    /// Takes the next bytes and hands every line that ends in them to `on`.
    pub(crate) fn push(&mut self, mut chunk: &[u8], mut on: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, rest) = chunk.split_at(end);
            chunk = &rest[1..];
            if self.pending == 0 && line.len() <= MAX_LINE {
                on(Line::Whole(line));
            } else {
                self.hold(line);
                self.release(&mut on);
            }
        }
        self.hold(chunk);
    }

    /// At the end of a file that will not grow: what has no newline is a line too.
    pub(crate) fn finish(&mut self, mut on: impl FnMut(Line<'_>)) {
        if self.pending > 0 {
            self.release(&mut on);
        }
    }

    /// Bytes taken that belong to no finished line.
    #[must_use]
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.pending += bytes.len() as u64;
        if self.pending <= MAX_LINE as u64 {
            self.partial.extend_from_slice(bytes);
        } else {
            self.partial = Vec::new();
        }
    }

    fn release(&mut self, on: &mut impl FnMut(Line<'_>)) {
        if self.pending > MAX_LINE as u64 {
            on(Line::TooLong);
        } else {
            on(Line::Whole(&self.partial));
        }
        self.partial.clear();
        self.pending = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(lines: &mut Lines, chunk: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut found = Vec::new();
        lines.push(chunk, |line| {
            found.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        });
        found
    }

    #[test]
    fn a_half_line_waits() {
        let mut lines = Lines::default();
        assert_eq!(collect(&mut lines, b"one\ntw"), [Some(b"one".to_vec())]);
        assert_eq!(lines.pending(), 2);
        assert_eq!(collect(&mut lines, b"o\n\n"), [Some(b"two".to_vec()), Some(Vec::new())]);
        assert_eq!(lines.pending(), 0);
    }

    #[test]
    fn an_endless_line_is_skipped_and_the_next_read() {
        for chunk in [MAX_LINE + 1, 4096] {
            let mut bytes = vec![b'x'; MAX_LINE + 1];
            bytes.extend_from_slice(b"\nnext\n");
            let mut lines = Lines::default();
            let found: Vec<_> = bytes.chunks(chunk).flat_map(|c| collect(&mut lines, c)).collect();
            assert_eq!(found, [None, Some(b"next".to_vec())]);
        }
        let mut exact = vec![b'x'; MAX_LINE];
        exact.push(b'\n');
        assert_eq!(collect(&mut Lines::default(), &exact).len(), 1);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[a\n]{0,200}", sizes in proptest::collection::vec(1..20_usize, 1..50)) {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            let mut rest = text.as_bytes();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                found.extend(collect(&mut lines, chunk));
                rest = after;
            }
            lines.finish(|line| if let Line::Whole(line) = line { found.push(Some(line.to_vec())) });
            let mut expected: Vec<_> = text.split('\n').map(|l| Some(l.as_bytes().to_vec())).collect();
            if text.ends_with('\n') || text.is_empty() { expected.pop(); }
            prop_assert_eq!(found, expected);
        }
    }
}
