//! Where a request is meant to go.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// A service as an authority names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedService<'a> {
    pub namespace: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub port: u16,
}

/// Reads `name[.namespace[.svc[.<cluster domain>]]][:port]`, as the cluster's DNS search path
/// would resolve it; default: the own namespace, port 80. `None` where it names no service of
/// the cluster.
pub(super) fn service_of<'a>(
    authority: &'a str,
    own_namespace: &'a str,
    cluster_domain: &str,
) -> Option<NamedService<'a>> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, "")) => (host, 80),
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 80),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut labels = host.splitn(4, '.');
    let name = labels.next()?;
    let namespace = labels.next().unwrap_or(own_namespace);
    if let Some(kind) = labels.next()
        && !kind.eq_ignore_ascii_case("svc")
    {
        return None;
    }
    if let Some(domain) = labels.next()
        && !domain.eq_ignore_ascii_case(cluster_domain)
    {
        return None;
    }
    if !is_label(namespace) || !is_label(name) {
        return None;
    }
    Some(NamedService {
        namespace: lower(namespace),
        name: lower(name),
        port,
    })
}

/// A DNS label, which is all that a Service or namespace can be named.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn lower(label: &str) -> Cow<'_, str> {
    if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(label.to_ascii_lowercase())
    } else {
        Cow::Borrowed(label)
    }
}
