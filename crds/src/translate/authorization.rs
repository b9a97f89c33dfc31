//! AuthPolicy → rules.

use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, HeaderCondition, PolicyMode, RuleFrom, RuleTo,
    Selector, ValueMatch,
};

use super::{
    Findings,
    values::{blocks, port},
};
use crate::auth_policy::{self, Action, AuthPolicySpec, Mode};

/// Translates the policy `namespace/name`; whom it selects is the World's to say.
pub(crate) fn authorization(
    namespace: &str,
    name: &str,
    spec: &AuthPolicySpec,
    findings: &mut Findings<'_>,
) -> AuthorizationPolicy {
    if spec.target_refs.is_empty() == spec.selector.is_none() {
        findings.invalid(
            "spec.targetRefs",
            "a policy guards targets or selected pods",
            "give exactly one of targetRefs and selector",
        );
    }
    AuthorizationPolicy {
        id: format!("{namespace}/{name}"),
        selector: Selector::All,
        action: match spec.action {
            Action::Allow => AuthAction::Allow,
            Action::Deny => AuthAction::Deny,
            Action::Audit => AuthAction::Audit,
        },
        mode: match spec.mode {
            Mode::Enforce => PolicyMode::Enforce,
            Mode::Shadow => PolicyMode::Shadow,
        },
        rules: spec
            .rules
            .iter()
            .enumerate()
            .map(|(at, entry)| rule(entry, at, findings))
            .collect(),
        unknown: Vec::new(),
    }
}

fn rule(entry: &auth_policy::AuthRule, at: usize, findings: &mut Findings<'_>) -> AuthRule {
    let field = format!("spec.rules[{at}]");
    AuthRule {
        name: entry.name.clone().unwrap_or_else(|| at.to_string()),
        from: entry
            .from
            .iter()
            .enumerate()
            .map(|(at, source)| from(source, &format!("{field}.from[{at}]"), findings))
            .collect(),
        to: entry
            .to
            .iter()
            .enumerate()
            .map(|(at, operation)| to(operation, &format!("{field}.to[{at}]"), findings))
            .collect(),
        headers: entry
            .when
            .iter()
            .enumerate()
            .map(|(at, condition)| header(condition, &format!("{field}.when[{at}]"), findings))
            .collect(),
    }
}

fn from(source: &auth_policy::Source, field: &str, findings: &mut Findings<'_>) -> RuleFrom {
    RuleFrom {
        service_accounts: source.service_accounts.clone(),
        not_service_accounts: source.not_service_accounts.clone(),
        namespaces: source.namespaces.clone(),
        not_namespaces: source.not_namespaces.clone(),
        principals: source.principals.clone(),
        not_principals: source.not_principals.clone(),
        ip_blocks: blocks(&source.ip_blocks, &format!("{field}.ipBlocks"), findings),
        not_ip_blocks: blocks(
            &source.not_ip_blocks,
            &format!("{field}.notIpBlocks"),
            findings,
        ),
    }
}

fn to(operation: &auth_policy::To, field: &str, findings: &mut Findings<'_>) -> RuleTo {
    let mut ports = |values: &[i32], name: &str| {
        values
            .iter()
            .filter_map(|value| port(*value, &format!("{field}.{name}"), findings))
            .collect()
    };
    RuleTo {
        methods: operation.methods.clone(),
        not_methods: operation.not_methods.clone(),
        paths: operation.paths.clone(),
        not_paths: operation.not_paths.clone(),
        hosts: operation.hosts.clone(),
        not_hosts: operation.not_hosts.clone(),
        ports: ports(&operation.ports, "ports"),
        not_ports: ports(&operation.not_ports, "notPorts"),
    }
}

fn header(
    condition: &auth_policy::Condition,
    field: &str,
    findings: &mut Findings<'_>,
) -> HeaderCondition {
    let name = condition
        .key
        .strip_prefix("request.headers[")
        .and_then(|rest| rest.strip_suffix(']'));
    if name.is_none() {
        findings.invalid(
            format!("{field}.key"),
            format!("`{}` is no attribute", condition.key),
            "write request.headers[name]",
        );
    }
    if condition.values.is_empty() && condition.not_values.is_empty() {
        findings.invalid(field, "demands nothing", "give values or notValues");
    }
    let values = |texts: &[String]| texts.iter().map(|text| value(text)).collect();
    HeaderCondition {
        name: name.unwrap_or_default().to_ascii_lowercase(),
        values: values(&condition.values),
        not_values: values(&condition.not_values),
    }
}

/// `*` any value, `beta*` a prefix, everything else exactly.
fn value(text: &str) -> ValueMatch {
    match text.strip_suffix('*') {
        Some("") => ValueMatch::Present,
        Some(prefix) => ValueMatch::Prefix(prefix.to_owned()),
        None => ValueMatch::Exact(text.to_owned()),
    }
}
