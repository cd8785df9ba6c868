//! Output: text in columns for people, a JSON value a line for programs.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;
use crate::json;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// For programs.
    pub(crate) json: bool,
    /// With colours.
    pub(crate) colours: bool,
}

/// Whether the standard output takes colours.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && wants_colours()
}

/// Whether the user wants colours where they are possible: <https://no-color.org>.
pub(crate) fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The standard output. Each write is flushed, so that what is printed has been seen.
#[derive(Debug)]
pub(crate) struct Output {
    style: Style,
    terminal: bool,
}

impl Output {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, terminal: io::stdout().is_terminal() }
    }

    /// Whether a program reads.
    pub(crate) fn json(&self) -> bool {
        self.style.json
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A line of text, without what could control a terminal.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(format!("{}\n", plain(text)).as_bytes())
    }

    /// One JSON value on one line.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), Failure> {
        self.raw(format!("{}\n", json::one_line(&value.to_string())).as_bytes())
    }

    /// JSON from a service on one line, its fields in their order.
    pub(crate) fn item(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(format!("{}\n", json::one_line(text)).as_bytes())
    }

    /// JSON from a service: indented for a person, on one line for anything else.
    pub(crate) fn reply(&mut self, text: &str) -> Result<(), Failure> {
        match self.terminal && !self.style.json {
            true => self.raw(format!("{}\n", json::indented(text)).as_bytes()),
            false => self.item(text),
        }
    }

    /// Text that stands out, where that is possible.
    pub(crate) fn bold(&self, text: &str) -> String {
        match self.style.colours {
            true => format!("\x1b[1m{}\x1b[0m", plain(text)),
            false => plain(text),
        }
    }

    /// Lines that may hold [`Output::bold`] text.
    pub(crate) fn styled(&mut self, lines: &[String]) -> Result<(), Failure> {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        self.raw(text.as_bytes())
    }

    /// Rows in aligned columns below a heading.
    pub(crate) fn table<const N: usize>(
        &mut self,
        heading: [&str; N],
        rows: &[[String; N]],
    ) -> Result<(), Failure> {
        let mut lines = columns(heading, rows).into_iter();
        let heading = lines.next().map(|heading| self.bold(&heading));
        let lines: Vec<String> = heading.into_iter().chain(lines.map(|l| plain(&l))).collect();
        self.styled(&lines)
    }
}

/// The heading and the rows, padded to the widest cell of each column.
fn columns<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |i: usize| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.chain([heading[i].chars().count()]).max().unwrap_or_default()
    };
    let line = |cells: [&str; N]| {
        let padded = cells.iter().enumerate().map(|(i, cell)| format!("{cell:<0$}", width(i)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(heading)).chain(rows).collect()
}

/// Text from elsewhere without control characters, which could rewrite what a terminal shows. Line ends
/// and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert_eq!(
            columns(["SERVICE", "N"], &[row("a", "1"), row("größere-namen", "22")]),
            ["SERVICE        N", "a              1", "größere-namen  22"]
        );
    }

    #[test]
    fn what_controls_a_terminal_is_not_printed() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}c\r\n\td"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\n\td");
    }
}
