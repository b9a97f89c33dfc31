//! What is printed: aligned, coloured where that is wanted.

use std::{io::IsTerminal, time::Duration};

use super::DemoError;

/// Prints to stdout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

impl Report {
    /// Colour only on a terminal, and only where `NO_COLOR` is unset or empty
    /// (<https://no-color.org>).
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: !refused && std::io::stdout().is_terminal(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn heading(self, text: &str) {
        println!("\n{}", self.paint(BOLD, text));
    }

    pub(super) fn note(self, text: &str) {
        println!("  {}", self.paint(DIM, text));
    }

    /// Something that was started.
    pub(super) fn step(self, name: &str, took: Duration, what: &str) {
        let took = format!("{:>7}", duration(took));
        println!("  {}  {name:<12}{what}", self.paint(DIM, &took));
    }

    /// A claim, and what was measured or why it does not hold.
    pub(super) fn claim(self, claim: &str, outcome: &Result<String, DemoError>) {
        match outcome {
            Ok(measured) => {
                println!(
                    "  {}  {claim:<58} {}",
                    self.paint(GREEN, "PASS"),
                    self.paint(DIM, measured)
                );
            }
            Err(error) => {
                println!("  {}  {claim}", self.paint(RED, "FAIL"));
                for line in error.to_string().lines() {
                    println!("        {}", self.paint(RED, line));
                }
            }
        }
    }

    /// The last line of a tour.
    pub(super) fn sum(self, held: usize, of: usize, took: Duration) {
        let code = if held == of { GREEN } else { RED };
        let text = format!("{held} of {of} claims hold, in {}", duration(took));
        println!("\n  {}", self.paint(code, &text));
    }
}

/// A duration with three significant digits, as people read it.
pub(super) fn duration(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}
