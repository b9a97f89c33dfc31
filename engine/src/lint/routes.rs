//! Route rules that no request can reach.

use std::collections::BTreeMap;

use crate::{
    compile::{HostPattern, RouteTable, rule_name},
    documents::{HttpMatch, HttpRule},
    problem::{Code, Problem, Severity},
};

use super::cover;

/// Beyond this many alternatives on one port the search, which is quadratic, is not made.
const MAX_ALTERNATIVES: usize = 4096;

/// The rules of one scope of a port, or of one listener.
pub(super) fn lint(rules: &[HttpRule], listener: Option<&str>, problems: &mut Vec<Problem>) {
    // Parts that do not compile are told by whoever compiles.
    let table = RouteTable::compile(rules, &mut Vec::new());
    let alternatives = table.alternatives();
    if alternatives.len() > MAX_ALTERNATIVES {
        return;
    }
    let everything = HttpMatch::default();
    let conditions = |(rule, place, _): (usize, usize, usize)| {
        rules
            .get(rule)
            .and_then(|rule| rule.matches.get(place))
            .unwrap_or(&everything)
    };
    let mut reaches: BTreeMap<usize, Reach> = BTreeMap::new();
    for (at, narrow) in alternatives.iter().enumerate() {
        let position = narrow.precedence.position();
        let reach = reaches.entry(position.0).or_default();
        reach.alternatives += 1;
        let winner = alternatives.iter().take(at).find(|wide| {
            wide.covers_target_of(narrow)
                && cover::conditions(conditions(wide.precedence.position()), conditions(position))
        });
        if let Some(winner) = winner {
            let winner = winner.precedence.position().0;
            // Repetition within a rule hides nothing from anybody.
            if winner == position.0 {
                reach.alternatives -= 1;
            } else {
                reach.covered.push((position.1, winner));
            }
        }
    }
    for (at, reach) in reaches {
        let wholly = reach.covered.len() >= reach.alternatives;
        let first = reach.covered.iter().min();
        if let Some((place, winner)) = first
            && let (Some(rule), Some(winner)) = (rules.get(at), rules.get(*winner))
        {
            problems.push(hidden(rule, *place, winner, wholly));
        }
    }
    if let Some(listener) = listener {
        outside_listener(rules, listener, problems);
    }
}

/// How a rule may be reached.
#[derive(Default)]
struct Reach {
    alternatives: usize,
    /// The place of each match that another rule covers, and that rule.
    covered: Vec<(usize, usize)>,
}

fn hidden(rule: &HttpRule, place: usize, winner: &HttpRule, wholly: bool) -> Problem {
    let (object, name) = object(rule);
    let same_route = object == self::object(winner).0;
    let code = match (wholly, same_route) {
        (false, _) => Code::Shadowed,
        (true, true) => Code::Unreachable,
        (true, false) => Code::Conflicted,
    };
    let (what, field) = if wholly {
        ("no request reaches this rule", format!("spec.http[{name}]"))
    } else {
        (
            "no request reaches the rule by this match",
            format!("spec.http[{name}].matches[{place}]"),
        )
    };
    Problem {
        severity: Severity::Warning,
        code,
        object,
        field,
        message: format!("{what}: {} takes all of it first", winner.id),
        fix: "remove it, or add the condition that tells it from the other".to_owned(),
    }
}

fn outside_listener(rules: &[HttpRule], listener: &str, problems: &mut Vec<Problem>) {
    let Ok(served) = HostPattern::compile(listener) else {
        return;
    };
    for rule in rules.iter().filter(|rule| !rule.hostnames.is_empty()) {
        let reachable = rule
            .hostnames
            .iter()
            .filter_map(|hostname| HostPattern::compile(hostname).ok())
            .any(|host| served.meets(&host));
        if !reachable {
            problems.push(Problem {
                severity: Severity::Warning,
                code: Code::Unreachable,
                object: object(rule).0,
                field: "spec.hostnames".to_owned(),
                message: format!("the listener serves only `{listener}`"),
                fix: "name a host that the listener serves, or attach to another listener"
                    .to_owned(),
            });
        }
    }
}

/// `VirtualRoute namespace/name` and the rule's name.
fn object(rule: &HttpRule) -> (String, &str) {
    let name = rule_name(&rule.id);
    let route = rule.id.strip_suffix(name).unwrap_or(&rule.id);
    (
        format!("VirtualRoute {}", route.trim_end_matches('/')),
        name,
    )
}
