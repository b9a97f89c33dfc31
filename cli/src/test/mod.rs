mod junit;

use std::fs;

use serde::Serialize;
use weft_crds::corpus::{FileReport, case_files};

use crate::{
    command::Test,
    exit::{Failure, Outcome},
    output::{Tone, cell, count, render, table},
};

/// What `-o json` and `-o yaml` give of a file.
#[derive(Serialize)]
struct File<'r> {
    file: String,
    cases: Vec<Case<'r>>,
    rules: usize,
    unexercised: Vec<&'r str>,
}

#[derive(Serialize)]
struct Case<'r> {
    name: &'r str,
    passed: bool,
    failures: &'r [String],
}

/// Runs every case file and says which promises are kept, and which rules nobody tests.
pub(crate) fn run(arguments: &Test) -> Result<(String, Outcome), Failure> {
    let files = case_files(&arguments.filename)?;
    if files.is_empty() {
        return Err(Failure::Argument(format!(
            "there is no case file in {}; a case file is YAML with `cases` at its top",
            arguments.filename.display()
        )));
    }
    let reports = files
        .iter()
        .map(|file| file.run())
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &arguments.junit {
        fs::write(path, junit::report(&reports)?).map_err(|source| Failure::Write {
            path: path.clone(),
            source,
        })?;
    }
    let outcome = if reports.iter().any(|report| report.failed() > 0) {
        Outcome::Findings
    } else {
        Outcome::Clean
    };
    let plain: Vec<_> = reports.iter().map(plain).collect();
    if let Some(text) = arguments.output.serialise(&plain)? {
        return Ok((text, outcome));
    }
    Ok((show(&reports, arguments.verbose), outcome))
}

fn plain(report: &FileReport) -> File<'_> {
    File {
        file: report.path.display().to_string(),
        cases: report
            .results
            .iter()
            .map(|result| Case {
                name: &result.name,
                passed: result.failures.is_empty(),
                failures: &result.failures,
            })
            .collect(),
        rules: report.coverage.rules(),
        unexercised: report.coverage.unexercised().collect(),
    }
}

fn show(reports: &[FileReport], verbose: bool) -> String {
    let mut rows = table(["FILE", "PASSED", "FAILED", "RULES EXERCISED"]);
    for report in reports {
        let failed = report.failed();
        let rules = report.coverage.rules();
        let exercised = rules - report.coverage.unexercised().count();
        let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
        rows.add_row([
            cell(report.path.display(), Tone::Plain),
            cell(report.results.len() - failed, Tone::Plain),
            cell(failed, tone),
            cell(
                format!("{exercised} of {rules}"),
                if exercised == rules {
                    Tone::Plain
                } else {
                    Tone::Doubtful
                },
            ),
        ]);
    }
    let mut text = render(&rows);
    for report in reports {
        text.push_str(&details(report, verbose));
    }
    let cases: usize = reports.iter().map(|report| report.results.len()).sum();
    let failed: usize = reports.iter().map(FileReport::failed).sum();
    let rules: usize = reports.iter().map(|report| report.coverage.rules()).sum();
    let idle: usize = reports
        .iter()
        .map(|report| report.coverage.unexercised().count())
        .sum();
    let verdict = if failed == 0 {
        Tone::Good.paint(&format!("{} passed", count(cases, "case")))
    } else {
        Tone::Bad.paint(&format!("{failed} of {} failed", count(cases, "case")))
    };
    text.push_str(&format!(
        "\n{verdict}; {} of {} exercised\n",
        rules - idle,
        count(rules, "rule")
    ));
    text
}

fn details(report: &FileReport, verbose: bool) -> String {
    let mut lines = Vec::new();
    for result in &report.results {
        if !result.failures.is_empty() {
            lines.push(format!("  {} {}", Tone::Bad.paint("✗"), result.name));
            lines.extend(result.failures.iter().map(|why| format!("      {why}")));
        } else if verbose {
            lines.push(format!("  {} {}", Tone::Good.paint("✓"), result.name));
        }
    }
    if verbose {
        lines.extend(
            report
                .coverage
                .unexercised()
                .map(|rule| format!("  {} no case exercises {rule}", Tone::Doubtful.paint("○"))),
        );
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}\n{}\n", report.path.display(), lines.join("\n"))
}
