//! AuthPolicies, ready to evaluate.

use std::fmt;

use super::{
    findings::Findings,
    operation::{HeaderRequirement, Operation},
    source::Source,
};
use crate::{
    documents::{AuthAction, AuthRule, AuthorizationPolicy, PolicyMode},
    facts::Traffic,
    problem::Problem,
};

/// Which way a doubt falls: a condition that cannot be looked at (an HTTP condition on TCP)
/// never lets an Allow rule match, and always lets a Deny or Audit rule match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polarity {
    Permit,
    Refuse,
}

/// The policies that stand before one workload or gateway.
#[derive(Debug, Default)]
pub(crate) struct CompiledAuthorization {
    /// Older first.
    pub(crate) policies: Vec<CompiledPolicy>,
}

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    /// `namespace/name`.
    pub(crate) id: String,
    pub(crate) action: AuthAction,
    pub(crate) shadow: bool,
    /// A part of it could not be compiled: as a whole it fails closed. A policy that is
    /// enforced in part would refuse, or let in, what nobody wrote.
    pub(crate) invalid: bool,
    pub(crate) rules: Vec<CompiledAuthRule>,
}

#[derive(Debug)]
pub(crate) struct CompiledAuthRule {
    pub(crate) name: String,
    from: Vec<Source>,
    to: Vec<Operation>,
    headers: Vec<HeaderRequirement>,
}

/// Why a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch<'c> {
    /// The field of the only source that does not hold.
    From(&'static str),
    NoneFrom(usize),
    To(&'static str),
    NoneTo(usize),
    Header(&'c str),
    /// A header condition, on TCP.
    HeaderOnTcp(&'c str),
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(field) => write!(f, "from: {field} does not hold"),
            Self::NoneFrom(count) => write!(f, "from: none of its {count} sources holds"),
            Self::To(field) => write!(f, "to: {field} does not hold"),
            Self::NoneTo(count) => write!(f, "to: none of its {count} operations holds"),
            Self::Header(name) => write!(f, "when: the header {name} does not hold"),
            Self::HeaderOnTcp(name) => {
                write!(f, "when: the header {name} cannot be seen on TCP")
            }
        }
    }
}

impl CompiledAuthorization {
    pub(crate) fn compile<'d>(
        policies: impl IntoIterator<Item = &'d AuthorizationPolicy>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        Self {
            policies: policies
                .into_iter()
                .map(|policy| CompiledPolicy::compile(policy, problems))
                .collect(),
        }
    }
}

impl CompiledPolicy {
    fn compile(policy: &AuthorizationPolicy, problems: &mut Vec<Problem>) -> Self {
        let findings = &mut Findings::new("AuthPolicy", &policy.id, problems);
        let mut invalid = !policy.unknown.is_empty();
        for field in &policy.unknown {
            findings.invalid(
                format!("spec.{field}"),
                "this build does not know the field, so it cannot tell what the policy means",
                "upgrade the proxy to the operator's version; until then the policy refuses everything",
            );
        }
        let mut rules = Vec::with_capacity(policy.rules.len());
        for rule in &policy.rules {
            match CompiledAuthRule::compile(rule) {
                Ok(rule) => rules.push(rule),
                Err((field, why)) => {
                    invalid = true;
                    findings.invalid(
                        format!("spec.rules[{}].{field}", rule.name),
                        why,
                        "correct the value; until then the policy refuses everything",
                    );
                }
            }
        }
        Self {
            id: policy.id.clone(),
            action: policy.action,
            shadow: policy.mode == PolicyMode::Shadow,
            invalid,
            rules,
        }
    }

    pub(crate) fn polarity(&self) -> Polarity {
        match self.action {
            AuthAction::Allow => Polarity::Permit,
            AuthAction::Deny | AuthAction::Audit => Polarity::Refuse,
        }
    }
}

impl CompiledAuthRule {
    fn compile(rule: &AuthRule) -> Result<Self, (String, String)> {
        fn each<S, T>(
            sources: &[S],
            field: &str,
            compile: impl Fn(&S) -> Result<T, (String, String)>,
        ) -> Result<Vec<T>, (String, String)> {
            let named = |(at, source): (usize, &S)| {
                compile(source).map_err(|(inner, why)| (format!("{field}[{at}].{inner}"), why))
            };
            sources.iter().enumerate().map(named).collect()
        }
        Ok(Self {
            name: rule.name.clone(),
            from: each(&rule.from, "from", Source::compile)?,
            to: each(&rule.to, "to", Operation::compile)?,
            headers: each(&rule.headers, "when", HeaderRequirement::compile)?,
        })
    }

    /// `from` AND `to` AND headers.
    pub(crate) fn check(
        &self,
        traffic: &Traffic<'_>,
        polarity: Polarity,
    ) -> Result<(), Mismatch<'_>> {
        any_of(&self.from, |source| source.check(traffic.peer, polarity)).map_err(|field| {
            match field {
                Some(field) => Mismatch::From(field),
                None => Mismatch::NoneFrom(self.from.len()),
            }
        })?;
        any_of(&self.to, |operation| operation.check(traffic, polarity)).map_err(|field| {
            match field {
                Some(field) => Mismatch::To(field),
                None => Mismatch::NoneTo(self.to.len()),
            }
        })?;
        for requirement in &self.headers {
            match traffic.http {
                Some(request) if !requirement.holds(request.headers, polarity) => {
                    return Err(Mismatch::Header(requirement.name.as_str()));
                }
                None if polarity == Polarity::Permit => {
                    return Err(Mismatch::HeaderOnTcp(requirement.name.as_str()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An empty list holds. The error carries the field where the list has one entry only.
fn any_of<T>(
    list: &[T],
    check: impl Fn(&T) -> Result<(), &'static str>,
) -> Result<(), Option<&'static str>> {
    let mut field = None;
    for entry in list {
        match check(entry) {
            Ok(()) => return Ok(()),
            Err(failed) => field = Some(failed),
        }
    }
    match list.len() {
        0 => Ok(()),
        1 => Err(field),
        _ => Err(None),
    }
}
