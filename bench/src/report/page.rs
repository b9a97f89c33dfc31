//! docs/performance.md.

use std::fmt::Write;

use super::{COLUMNS, reach_row, rows};
use crate::{
    control_plane::{NAMES, TITLE},
    figures::Figures,
    reach,
};

/// The page; the chart lies beside it as `performance.svg`.
pub fn markdown(figures: &Figures) -> String {
    let mut page = String::from(
        "# Performance

This page is written by `make bench`: side by side with what people would pick instead, on one
machine, in one run. `make bench SCENARIO=plain-http1` measures one scenario, `QUICK=1` only shows
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
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| {} |\n|{}\n",
            measured.title,
            measured.about,
            COLUMNS.join(" | "),
            " --- |".repeat(COLUMNS.len()),
        );
        for row in rows(measured) {
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
        let _ = writeln!(page, "\n`{}`, {}", measured.command, measured.date);
    }
    values(&mut page, figures);
    control_plane(&mut page, figures);
    instructions(&mut page, figures);
    page += HOW;
    page
}

fn values(page: &mut String, figures: &Figures) {
    let single = figures
        .values
        .iter()
        .filter(|(name, _)| !name.contains('/'))
        .filter(|(name, _)| !NAMES.contains(&name.as_str()));
    let rows: String = single
        .map(|(name, value)| {
            format!(
                "| {name} | {:.2} {} | {} |\n",
                value.value, value.unit, value.date
            )
        })
        .collect();
    if !rows.is_empty() {
        let _ = write!(
            page,
            "\n## A thousand services, one of which changes\n\nA proxy that has called 1,000 \
             services with 5 endpoints each. The route of one more changes ten times a second: \
             CPU of a change without other work, then 1,000 requests per second to that very \
             service. Envoy reads a file with as many virtual hosts (RDS), replaced at each \
             change.\n\n| | seen | when |\n| --- | --- | --- |\n{rows}"
        );
    }
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

fn instructions(page: &mut String, figures: &Figures) {
    let prefix = "instructions/";
    let counted = figures
        .values
        .iter()
        .filter(|(name, _)| name.starts_with(prefix));
    let rows: String = counted
        .map(|(name, value)| {
            let name = name.trim_start_matches(prefix);
            format!("| {name} | {:.0} | {} |\n", value.value, value.date)
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "\n## User instructions of a request

Counted by callgrind, where time on a shared machine is not steady: the difference of a run with N
and one with 2 N requests, over N. `bench/instructions.json` is the record that `make test` holds
Weft to: 5 % more fails it.

| | user instructions | when |
| --- | --- | --- |
{rows}"
    );
}

const HOW: &str = "
## How it is measured

- **CPU** is user and system time of the proxies alone, all their threads, from `/proc/PID/stat`,
  over a round of saturating load, per 10,000 responses. A pair counts both proxies. A round in
  which a request fails has no figure: the run ends with an error.
- **Requests per second** are those of that round; each proxy has one thread.
- **Latency** is taken at a fixed rate by a client that counts from the moment at which a request
  was due (corrected for coordinated omission), 16 connections.
- **RSS** is the sum over the proxies, before the first request and after the heaviest round.
- Rounds are interleaved between the peers; the median counts, ± half the spread.
- The proxies run on the first core, load (wrk, h2load) and backend (nginx, a body of 1 KiB) on
  the others, everything on loopback.
- **Others' CPU** is what other processes took of the machine meanwhile, from `/proc/stat`. A round
  with more than 8 % is repeated, twice at most; where no round was calm, `!` says so, and only the
  ratios mean something.
- Peers are set up as their documentation says: one thread or worker, connections kept on both
  sides, TLS 1.3 with P-256 certificates, no access log. Floors are what the libraries cost with
  nothing around them (`bench/floor`).
- Weft runs standalone from the release profile, with the routes, policies and metrics of
  `bench/src/peers/weft/mesh.rs`.
";
