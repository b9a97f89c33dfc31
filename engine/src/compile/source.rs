//! Who a rule speaks of.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{documents::RuleFrom, facts::Peer, identity::SpiffeId};

use super::authorization::Polarity;

/// A compiled [`RuleFrom`].
///
/// A caller without a proven identity is none of the named ones. For `not…` fields that means:
/// an Allow rule does not take it (nothing shows that it is not the excluded one), a Deny rule
/// does. A Deny by name therefore needs Strict mTLS beside it, or the caller drops its identity
/// to escape; the lint says so.
#[derive(Debug)]
pub(crate) struct Source {
    identity: List<IdentityPattern>,
    namespaces: List<Box<str>>,
    principals: List<Glob>,
    ip_blocks: List<IpNet>,
}

/// What must be one of, and what must be none of.
#[derive(Debug)]
struct List<T> {
    any: Vec<T>,
    none: Vec<T>,
}

impl<T> List<T> {
    fn holds(&self, matches: impl Fn(&T) -> bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(&matches)) && !self.none.iter().any(&matches)
    }
}

/// `namespace/name`, either half possibly `*`.
#[derive(Debug)]
struct IdentityPattern {
    namespace: Option<Box<str>>,
    account: Option<Box<str>>,
}

impl IdentityPattern {
    fn compile(pattern: &str) -> Result<Self, String> {
        let (namespace, account) = pattern
            .split_once('/')
            .filter(|(namespace, account)| {
                !namespace.is_empty() && !account.is_empty() && !account.contains('/')
            })
            .ok_or_else(|| format!("`{pattern}` is not of the form namespace/name"))?;
        let half = |half: &str| match half {
            "*" => Ok(None),
            half if half.contains('*') => Err(format!("`{pattern}` has `*` within a name")),
            half => Ok(Some(Box::from(half))),
        };
        Ok(Self {
            namespace: half(namespace)?,
            account: half(account)?,
        })
    }

    fn matches(&self, id: &SpiffeId) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|wanted| wanted == id.namespace())
            && self
                .account
                .as_deref()
                .is_none_or(|wanted| wanted == id.service_account())
    }
}

/// Literal parts between `*`, each of which stands for any run of characters.
#[derive(Debug)]
pub(crate) struct Glob {
    first: Box<str>,
    middle: Box<[Box<str>]>,
    /// `None`: the pattern has no `*`.
    last: Option<Box<str>>,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut parts: Vec<Box<str>> = pattern.split('*').map(Box::from).collect();
        let first = if parts.is_empty() {
            Box::default()
        } else {
            parts.remove(0)
        };
        let last = parts.pop();
        Self {
            first,
            middle: parts.into(),
            last,
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(last) = &self.last else {
            return *self.first == *text;
        };
        let Some(mut rest) = text
            .strip_prefix(&*self.first)
            .and_then(|rest| rest.strip_suffix(&**last))
        else {
            return false;
        };
        // The leftmost place for each part leaves the most room for the next.
        self.middle
            .iter()
            .all(|part| match rest.split_once(&**part) {
                _ if part.is_empty() => true,
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
    }
}

impl Source {
    /// An error names the field and what is wrong.
    pub(crate) fn compile(from: &RuleFrom) -> Result<Self, (String, String)> {
        Ok(Self {
            identity: List {
                any: each(
                    &from.service_accounts,
                    "serviceAccounts",
                    IdentityPattern::compile,
                )?,
                none: each(
                    &from.not_service_accounts,
                    "notServiceAccounts",
                    IdentityPattern::compile,
                )?,
            },
            namespaces: List {
                any: each(&from.namespaces, "namespaces", namespace)?,
                none: each(&from.not_namespaces, "notNamespaces", namespace)?,
            },
            principals: List {
                any: each(&from.principals, "principals", principal)?,
                none: each(&from.not_principals, "notPrincipals", principal)?,
            },
            ip_blocks: List {
                any: from.ip_blocks.clone(),
                none: from.not_ip_blocks.clone(),
            },
        })
    }

    /// The first field that does not hold.
    pub(crate) fn check(&self, peer: &Peer<'_>, polarity: Polarity) -> Result<(), &'static str> {
        let field = |holds: bool, name| if holds { Ok(()) } else { Err(name) };
        let address = peer.address.to_canonical();
        field(
            self.ip_blocks.holds(|block| block_contains(block, address)),
            "ipBlocks",
        )?;
        let id = peer.identity;
        field(
            by_identity(&self.identity, id, polarity, |wanted, id| {
                wanted.matches(id)
            }),
            "serviceAccounts",
        )?;
        field(
            by_identity(&self.namespaces, id, polarity, |wanted, id| {
                **wanted == *id.namespace()
            }),
            "namespaces",
        )?;
        field(
            by_identity(&self.principals, id, polarity, |wanted, id| {
                wanted.matches(id.as_str())
            }),
            "principals",
        )
    }
}

fn by_identity<T>(
    list: &List<T>,
    id: Option<&SpiffeId>,
    polarity: Polarity,
    matches: impl Fn(&T, &SpiffeId) -> bool,
) -> bool {
    match id {
        Some(id) => list.holds(|wanted| matches(wanted, id)),
        None => list.any.is_empty() && (list.none.is_empty() || polarity == Polarity::Refuse),
    }
}

/// An IPv4 client of a dual-stack socket arrives as `::ffff:a.b.c.d`, and a block may be
/// written so too.
fn block_contains(block: &IpNet, address: IpAddr) -> bool {
    match (block, address) {
        (IpNet::V6(v6), IpAddr::V4(v4)) => v6.contains(&v4.to_ipv6_mapped()),
        _ => block.contains(&address),
    }
}

fn namespace(name: &str) -> Result<Box<str>, String> {
    if name.is_empty() || name.contains(['*', '/']) {
        return Err(format!("`{name}` is no namespace"));
    }
    Ok(name.into())
}

fn principal(pattern: &str) -> Result<Glob, String> {
    if pattern.starts_with("spiffe://") || pattern.starts_with('*') {
        Ok(Glob::new(pattern))
    } else {
        Err(format!(
            "`{pattern}` can match no SPIFFE ID, which begins with spiffe://"
        ))
    }
}

fn each<T>(
    values: &[String],
    field: &str,
    compile: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, (String, String)> {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| compile(value).map_err(|why| (format!("{field}[{at}]"), why)))
        .collect()
}

#[cfg(test)]
mod tests;
