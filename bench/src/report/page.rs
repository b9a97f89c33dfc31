//! docs/performance.md.

use std::fmt::Write;

use super::{columns, reach_row, rows, values};
use crate::{control_plane::TITLE, figures::Figures, reach};

/// The page; the chart lies beside it as `performance.svg`.
pub fn markdown(figures: &Figures) -> String {
    let mut page = String::from(
        "# Performance

This page is written by `make bench`: side by side with what people would pick instead, on one
machine, in one run. `make bench SCENARIO=plain-http1` measures one scenario anew, as its date shows;
`QUICK=1` only shows
that everything runs.

![CPU-seconds of the proxies for 10,000 requests](performance.svg)

",
    );
    let _ = writeln!(page, "Machine: {}.\n", figures.machine);
    if !figures.versions.is_empty() {
        page += "| program | version |\n| --- | --- |\n";
        for (program, version) in &figures.versions {
            let _ = writeln!(page, "| {program} | {version} |");
        }
        page.push('\n');
    }
    page += "## What must be shown

| figure | reach | seen | |
| --- | --- | --- | --- |
";
    for row in reach::all(figures) {
        let _ = writeln!(page, "| {} |", reach_row(&row).join(" | "));
    }
    page += "\nA figure that is not measured counts as short.\n";
    for measured in figures.sections() {
        let columns = columns(measured);
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| {} |\n|{}\n",
            measured.title,
            measured.about,
            columns.join(" | "),
            " --- |".repeat(columns.len()),
        );
        for row in rows(measured) {
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
        let _ = writeln!(page, "\n`{}`, {}", measured.command, measured.date);
    }
    for section in values::sections(figures) {
        let _ = write!(page, "\n{section}");
    }
    control_plane(&mut page, figures);
    page += HOW;
    if figures.get("plain-http1", "pingora (floor)").is_none() {
        page +=
            "- A bare Pingora proxy is missing: it could not be built where this was measured.\n";
    }
    page
}

fn control_plane(page: &mut String, figures: &Figures) {
    let Some(measured) = &figures.control_plane else {
        return;
    };
    let header = measured.header();
    let _ = write!(
        page,
        "\n## {TITLE}\n\n{}\n\n| {} |\n|{}\n",
        measured.about(),
        header.join(" | "),
        " --- |".repeat(header.len()),
    );
    for row in measured.rows() {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    let _ = writeln!(page, "\n`{}`, {}", measured.command, measured.date);
}

const HOW: &str = "
## How it is measured

- **CPU** is user and system time of the proxies alone, all their threads, from `/proc/PID/stat`,
  over a round of saturating load, per 10,000 responses. A pair counts both proxies. A round in
  which a request fails has no figure: the run ends with an error.
- **Requests per second** are those of that round; each proxy has one thread.
- **Latency** is taken at a fixed rate, 2,000 requests per second over 16 connections, by a client
  that counts from the moment at which a request was due (corrected for coordinated omission).
  Client, proxies and backend have real-time priority meanwhile: whatever else wakes on a machine
  for some milliseconds decides the tail of every peer otherwise.
- **RSS** is the sum over the proxies, before the first request and after the heaviest round; of a
  thousand services, once the proxy has rested for six seconds, before and after.
- Rounds are interleaved between the peers; the median counts, ± half the spread.
- The proxies run on the first core; load (wrk, h2load, a client of ours) and backend (nginx with a
  body of 1 KiB, haproxy over TLS, an echo of ours for messages) on the others; all on loopback.
- **Others' CPU** is what other processes took of the machine meanwhile, from `/proc/stat`. A round
  with more than 8 % is repeated, one of each peer; where no round was calm, `!` says so, and only the
  ratios mean something.
- Peers are set up as their documentation says: one thread or worker, connections kept on both
  sides, TLS 1.3 with P-256 certificates, no access log. Floors are what the libraries cost with
  nothing around them (`bench/floor`, `bench/pingora`).
- Weft runs standalone from the release profile, with the routes, policies and metrics of
  `bench/src/peers/weft/mesh.rs`.
";
