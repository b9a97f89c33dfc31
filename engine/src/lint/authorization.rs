//! Authorization rules that are wider than they look, or that another makes pointless.

use crate::{
    compile::CompiledInbound,
    documents::{
        AuthAction, AuthRule, AuthorizationPolicy, MtlsMode, PolicyMode, Protocol, RuleFrom,
        RuleTo, Selector,
    },
    identity::Workload,
    problem::{Code, Problem, Severity},
};

use super::{Servers, cover};

/// The policies that stand before one namespace's workloads, or before one gateway.
pub(super) fn lint(
    policies: &[&AuthorizationPolicy],
    servers: Servers<'_>,
    problems: &mut Vec<Problem>,
) {
    for policy in policies {
        for rule in &policy.rules {
            open_to_all(policy, rule, problems);
            matches_nothing(policy, rule, problems);
            escaped_in_plaintext(policy, rule, servers, problems);
            unenforceable(policy, rule, servers, problems);
            pointless(policies, policy, rule, problems);
        }
    }
}

/// An Allow rule without any condition.
fn open_to_all(policy: &AuthorizationPolicy, rule: &AuthRule, problems: &mut Vec<Problem>) {
    let unconditional = |from: &RuleFrom| *from == RuleFrom::default();
    let anyone = rule.from.is_empty() || rule.from.iter().any(unconditional);
    let anything = rule.to.is_empty() || rule.to.iter().any(|to| *to == RuleTo::default());
    if policy.action == AuthAction::Allow && anyone && anything && rule.headers.is_empty() {
        problems.push(finding(
            policy,
            rule,
            Code::TooWide,
            "the rule allows every request, also from callers that prove no identity",
            "name callers in `from` (principals: [\"spiffe://*\"] is any proven identity), or remove the policy",
        ));
    }
}

/// An operation whose `not…` takes away all that it names.
fn matches_nothing(policy: &AuthorizationPolicy, rule: &AuthRule, problems: &mut Vec<Problem>) {
    let empty = |to: &RuleTo| {
        let taken = |paths: &[String], not: &[String], covers: fn(&str, &str) -> bool| {
            !paths.is_empty()
                && paths
                    .iter()
                    .all(|path| not.iter().any(|not| covers(not, path)))
        };
        let same = |a: &str, b: &str| a == b;
        taken(&to.paths, &to.not_paths, cover::path)
            || taken(&to.hosts, &to.not_hosts, cover::host)
            || taken(&to.methods, &to.not_methods, same)
            || to.not_paths.iter().any(|path| path == "*")
            || (!to.ports.is_empty() && to.ports.iter().all(|port| to.not_ports.contains(port)))
    };
    if !rule.to.is_empty() && rule.to.iter().all(empty) {
        problems.push(finding(
            policy,
            rule,
            Code::Unreachable,
            "the rule matches nothing: its `not…` fields take away all that it names",
            "narrow the `not…` fields",
        ));
    }
}

/// A Deny by name, before workloads that take plaintext.
fn escaped_in_plaintext(
    policy: &AuthorizationPolicy,
    rule: &AuthRule,
    servers: Servers<'_>,
    problems: &mut Vec<Problem>,
) {
    let by_name = |from: &RuleFrom| {
        !(from.service_accounts.is_empty()
            && from.namespaces.is_empty()
            && from.principals.is_empty())
    };
    let Some((inbound, mesh)) = servers else {
        return;
    };
    if policy.action != AuthAction::Deny || rule.from.is_empty() || !rule.from.iter().all(by_name) {
        return;
    }
    let labels = match &policy.selector {
        Selector::All => Default::default(),
        Selector::Labels(labels) => labels.clone(),
    };
    let workload = Workload {
        namespace: inbound.namespace.clone(),
        labels,
        ..Workload::default()
    };
    let (compiled, _) = CompiledInbound::compile(inbound, mesh, &workload);
    // Port 0 is no pod's: what is said of every port that is not named.
    if compiled.mtls(0) != MtlsMode::Strict {
        problems.push(finding(
            policy,
            rule,
            Code::TooWide,
            "a caller escapes the rule by calling in plaintext, where it has no name",
            "make mTLS Strict for these workloads, or allow by name instead",
        ));
    }
}

/// HTTP conditions where every port that the rule can concern carries no HTTP.
fn unenforceable(
    policy: &AuthorizationPolicy,
    rule: &AuthRule,
    servers: Servers<'_>,
    problems: &mut Vec<Problem>,
) {
    let Some((inbound, _)) = servers else {
        return;
    };
    let has_http = |to: &RuleTo| {
        let RuleTo {
            ports, not_ports, ..
        } = to;
        *to != RuleTo {
            ports: ports.clone(),
            not_ports: not_ports.clone(),
            ..RuleTo::default()
        }
    };
    let opaque = |to: &RuleTo| {
        let declared: Vec<Protocol> = inbound
            .ports
            .iter()
            .filter(|port| cover::selector(&policy.selector, &port.selector))
            .filter(|port| to.ports.is_empty() || to.ports.contains(&port.port))
            .filter(|port| !to.not_ports.contains(&port.port))
            .map(|port| port.protocol)
            .collect();
        !declared.is_empty() && !declared.iter().any(|protocol| protocol.is_http())
    };
    let everything = RuleTo::default();
    let by_header = !rule.headers.is_empty();
    let operations = if rule.to.is_empty() {
        std::slice::from_ref(&everything)
    } else {
        &rule.to[..]
    };
    for to in operations {
        if (has_http(to) || by_header) && opaque(to) {
            problems.push(Problem {
                severity: Severity::Error,
                ..finding(
                    policy,
                    rule,
                    Code::UnenforceableOnProtocol,
                    "the rule has HTTP conditions, and every port that it concerns is declared TCP or TLS",
                    "remove the HTTP conditions, or declare the port's appProtocol",
                )
            });
            return;
        }
    }
}

/// An Allow rule that another policy, or an earlier rule, makes pointless.
fn pointless(
    policies: &[&AuthorizationPolicy],
    policy: &AuthorizationPolicy,
    rule: &AuthRule,
    problems: &mut Vec<Problem>,
) {
    if policy.action != AuthAction::Allow {
        return;
    }
    let enforced = |other: &&&AuthorizationPolicy| {
        other.mode == PolicyMode::Enforce && cover::selector(&other.selector, &policy.selector)
    };
    for other in policies.iter().filter(enforced) {
        let wider = other.rules.iter().find(|wide| {
            let itself = std::ptr::eq(*wide, rule);
            // Of two equal rules the later is the pointless one.
            let earlier = other.action == AuthAction::Deny
                || !cover::rule(rule, wide)
                || comes_before(policies, wide, rule);
            !itself && earlier && cover::rule(wide, rule)
        });
        let Some(wider) = wider else { continue };
        let (code, what) = match other.action {
            AuthAction::Allow => (Code::Shadowed, "allows all of it already"),
            AuthAction::Deny => (Code::Unreachable, "denies all of it first"),
            AuthAction::Audit => continue,
        };
        problems.push(finding(
            policy,
            rule,
            code,
            &format!(
                "the rule changes nothing: {}/{} {what}",
                other.id, wider.name
            ),
            "narrow the wider rule, or remove this one",
        ));
        return;
    }
}

fn comes_before(policies: &[&AuthorizationPolicy], wide: &AuthRule, rule: &AuthRule) -> bool {
    let place = |wanted: &AuthRule| {
        policies
            .iter()
            .flat_map(|policy| &policy.rules)
            .position(|rule| std::ptr::eq(rule, wanted))
    };
    place(wide) < place(rule)
}

fn finding(
    policy: &AuthorizationPolicy,
    rule: &AuthRule,
    code: Code,
    message: &str,
    fix: &str,
) -> Problem {
    Problem {
        severity: Severity::Warning,
        code,
        object: format!("AuthPolicy {}", policy.id),
        field: format!("spec.rules[{}]", rule.name),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}
