//! What a person sees on a terminal, and a script elsewhere.
//!
//! Colour and bars only where a terminal is; the same words without them in a pipe. It must not
//! know what is said.

use std::io::{IsTerminal, Write};

/// A style of the terminal (ECMA-48 SGR codes).
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Green,
    Yellow,
    Red,
    Dim,
    Bold,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "31",
            Style::Dim => "2",
            Style::Bold => "1",
        }
    }

    /// Paints `text` when `colour` says so.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        if colour { format!("\x1b[{}m{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// Whether standard output wants colour (a terminal, and no NO_COLOR).
pub(crate) fn stdout_colour() -> bool {
    std::io::stdout().is_terminal() && colour_allowed()
}

/// Whether standard error wants colour.
pub(crate) fn stderr_colour() -> bool {
    std::io::stderr().is_terminal() && colour_allowed()
}

fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Says what went wrong, on standard error.
pub(crate) fn error(text: &str) {
    let head = Style::Red.paint("error:", stderr_colour());
    // Nobody is left to be told when standard error is closed.
    drop(writeln!(std::io::stderr(), "{head} {text}"));
}

/// Writes a result to standard output; a reader that left early is no error.
pub(crate) fn print(text: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Lines up rows in columns two spaces apart; the last column is free. `paint` may add colour to a
/// cell after its width is known.
pub(crate) fn table(rows: &[Vec<String>], paint: impl Fn(usize, usize, &str) -> String) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let gap = if last { 0 } else { widths[column] - cell.chars().count() + 2 };
            line.push_str(&paint(at, column, cell));
            line.extend(std::iter::repeat_n(' ', gap));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let rows = [vec!["é".into(), "b".into()], vec!["aaa".into(), "c".into()]];
        let plain = table(&rows, |_, _, cell| cell.to_owned());
        assert_eq!(plain, "é    b\naaa  c\n");
        let painted = table(&rows, |_, _, cell| Style::Red.paint(cell, true));
        assert!(painted.starts_with("\x1b[31mé\x1b[0m    \x1b[31mb"));
    }
}
