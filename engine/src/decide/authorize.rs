//! Authorization: Deny, then Allow; Audit only speaks.

use super::verdict::{Denial, Reason};
use crate::{
    compile::authorization::{CompiledAuthorization, CompiledPolicy},
    documents::AuthAction,
    facts::Traffic,
    trace::{Observer, Step},
};

/// Who refuses, if somebody does. Reasons are pushed in the order in which policies are asked:
/// Deny policies older first up to the one that refuses, then Allow policies up to the one that
/// allows, then all Audit policies, which see refused traffic as well.
pub(crate) fn authorize<'c>(
    authorization: &'c CompiledAuthorization,
    traffic: &Traffic<'_>,
    reasons: &mut Vec<Reason<'c>>,
    observer: &mut impl Observer,
) -> Option<Denial<'c>> {
    if authorization.policies.is_empty() {
        return None;
    }
    let denial = denied(authorization, traffic, reasons, observer)
        .or_else(|| not_allowed(authorization, traffic, reasons, observer));
    for policy in of(authorization, AuthAction::Audit) {
        if let Some(rule) = matching_rule(policy, traffic, observer) {
            reasons.push(reason(policy, rule));
        }
    }
    denial
}

fn denied<'c>(
    authorization: &'c CompiledAuthorization,
    traffic: &Traffic<'_>,
    reasons: &mut Vec<Reason<'c>>,
    observer: &mut impl Observer,
) -> Option<Denial<'c>> {
    for policy in of(authorization, AuthAction::Deny) {
        let denial = if policy.invalid {
            tell_invalid(policy, observer);
            Denial::InvalidPolicy { policy: &policy.id }
        } else if let Some(rule) = matching_rule(policy, traffic, observer) {
            Denial::Rule {
                policy: &policy.id,
                rule,
            }
        } else {
            continue;
        };
        if !policy.shadow {
            return Some(denial);
        }
        let rule = match denial {
            Denial::Rule { rule, .. } => rule,
            _ => "",
        };
        reasons.push(reason(policy, rule));
    }
    None
}

/// Shadow Allow policies are asked as if they were enforced beside the others. They would refuse
/// something only where no Allow policy is enforced: beside an enforced one they only widen.
fn not_allowed<'c>(
    authorization: &'c CompiledAuthorization,
    traffic: &Traffic<'_>,
    reasons: &mut Vec<Reason<'c>>,
    observer: &mut impl Observer,
) -> Option<Denial<'c>> {
    let mut enforced = None;
    let mut shadow = None;
    let mut shadow_allows = false;
    for policy in of(authorization, AuthAction::Allow) {
        if policy.invalid {
            tell_invalid(policy, observer);
            if !policy.shadow {
                return Some(Denial::InvalidPolicy { policy: &policy.id });
            }
        }
        let first = if policy.shadow {
            &mut shadow
        } else {
            &mut enforced
        };
        first.get_or_insert(policy);
        // What is left of an invalid policy allows nothing.
        if policy.invalid {
            continue;
        }
        if let Some(rule) = matching_rule(policy, traffic, observer) {
            reasons.push(reason(policy, rule));
            if !policy.shadow {
                return None;
            }
            shadow_allows = true;
        }
    }
    if let Some(policy) = enforced {
        tell_none(policy, observer);
        return Some(Denial::NotAllowed { policy: &policy.id });
    }
    if let Some(policy) = shadow
        && !shadow_allows
    {
        tell_none(policy, observer);
        reasons.push(reason(policy, ""));
    }
    None
}

fn of(
    authorization: &CompiledAuthorization,
    action: AuthAction,
) -> impl Iterator<Item = &CompiledPolicy> {
    authorization
        .policies
        .iter()
        .filter(move |policy| policy.action == action)
}

fn reason<'c>(policy: &'c CompiledPolicy, rule: &'c str) -> Reason<'c> {
    Reason {
        policy: &policy.id,
        rule,
        action: policy.action,
        shadow: policy.shadow,
    }
}

fn matching_rule<'c>(
    policy: &'c CompiledPolicy,
    traffic: &Traffic<'_>,
    observer: &mut impl Observer,
) -> Option<&'c str> {
    let found = policy.rules.iter().find(|rule| {
        let outcome = rule.check(traffic, policy.polarity());
        observer.step(|| {
            let detail = match &outcome {
                Ok(()) => String::new(),
                Err(why) => why.to_string(),
            };
            step(policy, &rule.name, outcome.is_ok(), detail)
        });
        outcome.is_ok()
    });
    found.map(|rule| &*rule.name)
}

fn tell_invalid(policy: &CompiledPolicy, observer: &mut impl Observer) {
    observer.step(|| {
        let detail = "the policy does not compile and refuses everything";
        step(policy, "-", true, detail.to_owned())
    });
}

fn tell_none(policy: &CompiledPolicy, observer: &mut impl Observer) {
    observer.step(|| {
        let detail = "Allow policies select the workload and none allows this";
        step(policy, "-", false, detail.to_owned())
    });
}

fn step(policy: &CompiledPolicy, rule: &str, matched: bool, detail: String) -> Step {
    let phase = match policy.action {
        AuthAction::Deny => "deny",
        AuthAction::Allow => "allow",
        AuthAction::Audit => "audit",
    };
    let mode = if policy.shadow { " (shadow)" } else { "" };
    Step {
        phase: phase.to_owned(),
        rule: format!("{}/{rule}", policy.id),
        matched,
        detail: format!("{detail}{mode}").trim_start().to_owned(),
    }
}
