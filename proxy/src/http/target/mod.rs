//! Where a request is meant to go.

use weft_engine::documents::ServiceRef;

#[cfg(test)]
mod tests;

/// Reads `name[.namespace[.svc[.<cluster domain>]]][:port]`, as the cluster's DNS search path
/// would resolve it; default: the own namespace, port 80. `None` where it names no service of
/// the cluster.
pub(super) fn service_of(
    authority: &str,
    own_namespace: &str,
    cluster_domain: &str,
) -> Option<ServiceRef> {
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
    Some(ServiceRef {
        namespace: namespace.to_ascii_lowercase(),
        name: name.to_ascii_lowercase(),
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
