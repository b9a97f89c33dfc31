mod finding;
mod yaml;

use weft_crds::{Object, corpus::Scene, judge};
use weft_engine::problem::Severity;

use crate::{
    command::Lint,
    exit::{Failure, Outcome},
    output::{Tone, cell, count, render, table},
};

use finding::{Finding, findings};

/// Parses, validates and lowers the manifests, compiles the documents, and looks for rules that
/// say less than they seem to.
pub(crate) fn run(arguments: &Lint) -> Result<(String, Outcome), Failure> {
    let scene = Scene::read(&arguments.filename)?;
    let mut problems = scene.problems.clone();
    problems.extend(judge::findings(scene.documents.values()));
    let findings = findings(problems, &scene.objects);
    let outcome = if findings
        .iter()
        .any(|finding| finding.problem.severity == Severity::Error)
    {
        Outcome::Findings
    } else {
        Outcome::Clean
    };
    if let Some(text) = arguments.output.serialise(&findings)? {
        return Ok((text, outcome));
    }
    Ok((show(&findings, &scene), outcome))
}

fn show(findings: &[Finding], scene: &Scene) -> String {
    let mut text = String::new();
    if !findings.is_empty() {
        let mut rows = table([
            "WHERE",
            "CODE",
            "OBJECT AND FIELD",
            "WHAT, AND HOW TO MEND IT",
        ]);
        for finding in findings {
            let problem = &finding.problem;
            let tone = match problem.severity {
                Severity::Error => Tone::Bad,
                Severity::Warning => Tone::Doubtful,
            };
            rows.add_row([
                cell(finding.place(), Tone::Plain),
                cell(format!("{:?}\n{:?}", problem.severity, problem.code), tone),
                cell(
                    format!("{}\n{}", problem.object, problem.field),
                    Tone::Plain,
                ),
                cell(
                    format!("{}\n→ {}", problem.message, problem.fix),
                    Tone::Plain,
                ),
            ]);
        }
        text.push_str(&render(&rows));
        text.push('\n');
    }
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.problem.severity == severity)
            .count()
    };
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let tone = match (errors, warnings) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Doubtful,
        _ => Tone::Bad,
    };
    let summary = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    let own = scene
        .objects
        .iter()
        .filter(|(object, _)| is_own(object))
        .count();
    text.push_str(&format!(
        "{} in {}, {} of them Weft's own\n",
        tone.paint(&summary),
        count(scene.objects.len(), "object"),
        own
    ));
    text
}

fn is_own(object: &Object) -> bool {
    object.reference().kind.is_own()
}
