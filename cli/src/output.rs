//! How things are shown: aligned for people, JSON and YAML for machines.

use std::io::{IsTerminal, stdout};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::Failure;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    #[default]
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// The machine-readable form; `None` for the table, which each command lays out itself.
    pub(crate) fn serialise(self, value: &impl Serialize) -> Result<Option<String>, Failure> {
        match self {
            Self::Table => Ok(None),
            Self::Json => serde_json::to_string_pretty(value)
                .map(|text| Some(text + "\n"))
                .map_err(|error| Failure::Format {
                    format: "json",
                    message: error.to_string(),
                }),
            Self::Yaml => {
                serde_saphyr::to_string(value)
                    .map(Some)
                    .map_err(|error| Failure::Format {
                        format: "yaml",
                        message: error.to_string(),
                    })
            }
        }
    }
}

/// Whether to colour: a terminal that did not ask for none (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What a cell says of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Doubtful,
    Quiet,
}

impl Tone {
    fn colour(self) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(Color::Green),
            Self::Bad => Some(Color::Red),
            Self::Doubtful => Some(Color::Yellow),
            Self::Quiet => Some(Color::DarkGrey),
        }
    }

    /// Text in this tone, outside of a table.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Doubtful => "33",
            Self::Quiet => "90",
            Self::Plain => return text.to_owned(),
        };
        if colours() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A cell.
pub(crate) fn cell(text: impl ToString, tone: Tone) -> Cell {
    match tone.colour() {
        Some(colour) => Cell::new(text).fg(colour),
        None => Cell::new(text),
    }
}

/// A table without lines: columns two spaces apart, wrapped only on a terminal.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    if stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    if !colours() {
        table.force_no_tty();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table as text, without the spaces at line ends that padding leaves.
pub(crate) fn render(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
