use weft_engine::{
    journey::{Call, Outcome},
    trace::Step,
};

use crate::{
    command::Why,
    output::{Tone, cell, render, table},
};

/// The call, its steps, the verdict; and what a proposal changes.
pub(super) fn answer(
    arguments: &Why,
    call: &Call,
    now: &Outcome,
    then: Option<&Outcome>,
) -> String {
    let mut text = headline(arguments, call);
    let Some(then) = then else {
        text.push_str(&steps(&now.steps));
        text.push_str(&facts(call, now));
        return text;
    };
    text.push_str(&compared(&now.steps, &then.steps));
    text.push_str(&comparison(call, now, then));
    text
}

/// The steps of both traces, those that only one has marked with whose they are. What both have
/// stands once, in the proposal's order.
fn compared(now: &[Step], then: &[Step]) -> String {
    let mut rows = table(["", "STEP", "RULE", "", "WHY"]);
    let mut add = |whose: &str, tone: Tone, step: &Step| {
        let (word, of_word) = word(step);
        rows.add_row([
            cell(whose, tone),
            cell(&step.phase, Tone::Plain),
            cell(&step.rule, Tone::Plain),
            cell(word, of_word),
            cell(&step.detail, Tone::Plain),
        ]);
    };
    let mut left = now;
    for step in then {
        let Some(at) = left.iter().position(|other| other == step) else {
            add("+ proposed", Tone::Good, step);
            continue;
        };
        let (gone, rest) = left.split_at(at);
        for step in gone {
            add("- now", Tone::Bad, step);
        }
        left = rest.get(1..).unwrap_or_default();
        add("", Tone::Plain, step);
    }
    for step in left {
        add("- now", Tone::Bad, step);
    }
    if now.is_empty() && then.is_empty() {
        return "No rule has a say.\n\n".to_owned();
    }
    render(&rows) + "\n"
}

fn headline(arguments: &Why, call: &Call) -> String {
    let target = match &call.gateway {
        Some(gateway) => format!("gateway {gateway}:{}", call.port),
        None if call.address.is_some() => format!("pod {}", arguments.destination),
        None => format!("{}:{}", call.service, call.port),
    };
    let caller = match &call.source {
        Some(_) => arguments.source.as_str(),
        None if call.gateway.is_some() => "a client outside the mesh",
        None => "a client without a proxy",
    };
    let request = match &call.http {
        Some(http) => format!("{} {}", http.method, http.path),
        None => "TCP".to_owned(),
    };
    format!("{request}   {caller} → {target}\n\n")
}

fn steps(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "No rule has a say.\n\n".to_owned();
    }
    let mut rows = table(["STEP", "RULE", "", "WHY"]);
    for step in steps {
        let (word, tone) = word(step);
        rows.add_row([
            cell(&step.phase, Tone::Plain),
            cell(&step.rule, Tone::Plain),
            cell(word, tone),
            cell(&step.detail, Tone::Plain),
        ]);
    }
    render(&rows) + "\n"
}

fn word(step: &Step) -> (&'static str, Tone) {
    match (step.phase.as_str(), step.matched) {
        ("server", _) => ("asked", Tone::Plain),
        ("pod", _) => ("dialled", Tone::Plain),
        ("deny", true) => ("matched", Tone::Bad),
        (_, true) => ("matched", Tone::Good),
        ("mtls" | "path", false) => ("refused", Tone::Bad),
        (_, false) => ("missed", Tone::Quiet),
    }
}

/// What becomes of the call, in words.
fn verdict(outcome: &Outcome) -> (String, Tone) {
    match (outcome.status, &outcome.denied_by) {
        (Some(status), Some(by)) => (format!("{status}, refused by {by}"), Tone::Bad),
        (Some(400), None) => ("400, the request target is malformed".to_owned(), Tone::Bad),
        (Some(404), None) => (
            "404, the destination has routes and none matches".to_owned(),
            Tone::Bad,
        ),
        (Some(500), None) => ("500, a backend does not resolve".to_owned(), Tone::Bad),
        (Some(status), None) => (format!("{status}, answered by the mesh"), Tone::Plain),
        (None, _) => ("reaches the application".to_owned(), Tone::Good),
    }
}

/// The outcome's fields that say something, by name.
fn lines(call: &Call, outcome: &Outcome) -> Vec<(&'static str, String, Tone)> {
    let (verdict, tone) = verdict(outcome);
    let mut lines = vec![("verdict", verdict, tone)];
    let mut push = |name, value: Option<String>| {
        if let Some(value) = value {
            lines.push((name, value, Tone::Plain));
        }
    };
    push("route", outcome.route.clone());
    let backends: Vec<_> = outcome
        .backends
        .iter()
        .map(|(backend, share)| format!("{backend}  {} %", (share * 10.0).round() / 10.0))
        .collect();
    push(
        "backends",
        (!backends.is_empty()).then(|| backends.join("\n")),
    );
    let sent = call.http.as_ref().map(|http| http.path.as_str());
    push(
        "path",
        outcome.path.clone().map(|path| match sent {
            Some(sent) if sent != path => format!("{path}  (sent as {sent})"),
            _ => path,
        }),
    );
    push("location", outcome.location.clone());
    let would_deny = &outcome.would_deny;
    push(
        "would deny",
        (!would_deny.is_empty()).then(|| would_deny.join("\n")),
    );
    lines
}

fn facts(call: &Call, outcome: &Outcome) -> String {
    let mut rows = table(["OUTCOME", ""]);
    for (name, value, tone) in lines(call, outcome) {
        rows.add_row([cell(name, Tone::Plain), cell(value, tone)]);
    }
    render(&rows)
}

fn comparison(call: &Call, now: &Outcome, then: &Outcome) -> String {
    let (now, then) = (lines(call, now), lines(call, then));
    let value = |lines: &[(&str, String, Tone)], name: &str| {
        lines
            .iter()
            .find(|(own, _, _)| *own == name)
            .map_or(("-".to_owned(), Tone::Quiet), |(_, value, tone)| {
                (value.clone(), *tone)
            })
    };
    let names = [
        "verdict",
        "route",
        "backends",
        "path",
        "location",
        "would deny",
    ];
    let mut rows = table(["OUTCOME", "NOW", "PROPOSED"]);
    let mut changed = false;
    for name in names {
        let (before, tone_before) = value(&now, name);
        let (after, tone_after) = value(&then, name);
        if before == "-" && after == "-" {
            continue;
        }
        let differs = before != after;
        changed |= differs;
        let mark = if differs { "≠ " } else { "" };
        rows.add_row([
            cell(format!("{mark}{name}"), Tone::Plain),
            cell(before, tone_before),
            cell(after, tone_after),
        ]);
    }
    let summary = if changed {
        Tone::Doubtful.paint("The proposal changes what becomes of this request.")
    } else {
        Tone::Good.paint("The proposal changes nothing for this request.")
    };
    format!("{}\n{summary}\n", render(&rows))
}
