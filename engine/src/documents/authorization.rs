//! Who may.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::ValueMatch;

/// Which pods of the document's namespace are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Selector {
    /// All of them.
    #[default]
    All,
    /// Those with all these labels. Empty: none (an empty Service selector selects nothing).
    Labels(BTreeMap<String, String>),
}

impl Selector {
    /// Whether a pod with these labels is meant.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All => true,
            Self::Labels(wanted) => {
                !wanted.is_empty()
                    && wanted
                        .iter()
                        .all(|(key, value)| labels.get(key) == Some(value))
            }
        }
    }
}

/// What a matching rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthAction {
    /// Permits; and once any Allow policy selects a workload, what none allows is denied.
    Allow,
    /// Refuses, before any Allow is looked at.
    Deny,
    /// Only logs.
    Audit,
}

/// Whether a policy acts or only says what it would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyMode {
    /// Acts.
    #[default]
    Enforce,
    /// Is evaluated, counted and logged; changes nothing.
    Shadow,
}

/// One AuthPolicy as it applies to the document's pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    /// `namespace/name` of the AuthPolicy.
    pub id: String,
    /// The pods.
    #[serde(default)]
    pub selector: Selector,
    /// What a matching rule means.
    pub action: AuthAction,
    /// Whether it acts.
    #[serde(default)]
    pub mode: PolicyMode,
    /// OR of rules. Empty: nothing matches (so an Allow policy without rules denies all).
    #[serde(default)]
    pub rules: Vec<AuthRule>,
}

/// A rule: `from` AND `to` AND `headers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthRule {
    /// The rule's name, or its position where it has none.
    pub name: String,
    /// OR of sources. Empty: anyone, unauthenticated callers included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<RuleFrom>,
    /// OR of operations. Empty: anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<RuleTo>,
    /// AND of header conditions (`when: request.headers[…]`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderCondition>,
}

/// A source: AND of the fields, OR within each; a `not…` field must not match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleFrom {
    /// `namespace/name`; `*` alone in either half stands for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_service_accounts: Vec<String>,
    /// Namespaces of the authenticated caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_namespaces: Vec<String>,
    /// SPIFFE IDs; `*` matches any run of characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_principals: Vec<String>,
    /// Addresses of the directly connected peer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_blocks: Vec<IpNet>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ip_blocks: Vec<IpNet>,
}

/// An operation: AND of the fields, OR within each; a `not…` field must not match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleTo {
    /// Methods, exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_methods: Vec<String>,
    /// Normalised paths: `/a` exactly; `/a/*` that and all below; `{name}` one segment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_paths: Vec<String>,
    /// Hosts without port, lower case; `*.suffix` for any below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// The workload's own ports: the only operation that also stands on TCP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<u16>,
}

/// A condition on a request header: one of `values` must match (or, with `not_values`, none).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderCondition {
    /// The header's name, lower case.
    pub name: String,
    /// Any of these. Empty: no demand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueMatch>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_values: Vec<ValueMatch>,
}
