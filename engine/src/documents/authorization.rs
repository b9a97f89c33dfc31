//! Who may.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

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
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    /// `namespace/name` of the AuthPolicy.
    pub id: String,
    /// The pods.
    pub selector: Selector,
    /// What a matching rule means.
    pub action: AuthAction,
    /// Whether it acts.
    pub mode: PolicyMode,
    /// OR of rules. Empty: nothing matches (so an Allow policy without rules denies all).
    pub rules: Vec<AuthRule>,
    /// Fields of the stored policy that this build does not know, at most 16. A
    /// newer operator wrote them, and without them a rule may match more or less than it should:
    /// such a policy fails closed.
    #[serde(skip)]
    pub unknown: Vec<String>,
}

/// Unknown fields of one policy that are kept by name.
const MAX_UNKNOWN: usize = 16;

impl<'de> Deserialize<'de> for AuthorizationPolicy {
    /// By hand, to learn of fields that would be passed over in silence.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Known {
            id: String,
            #[serde(default)]
            selector: Selector,
            action: AuthAction,
            #[serde(default)]
            mode: PolicyMode,
            #[serde(default)]
            rules: Vec<AuthRule>,
        }
        let stored = serde_json::Value::deserialize(deserializer)?;
        let mut unknown = Vec::new();
        let known: Known = serde_ignored::deserialize(stored, |path| {
            if unknown.len() < MAX_UNKNOWN {
                unknown.push(path.to_string());
            }
        })
        .map_err(D::Error::custom)?;
        Ok(Self {
            id: known.id,
            selector: known.selector,
            action: known.action,
            mode: known.mode,
            rules: known.rules,
            unknown,
        })
    }
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
