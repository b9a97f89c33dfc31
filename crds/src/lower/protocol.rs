//! Conditions that a port's protocol does not carry.

use weft_engine::documents::{AuthorizationPolicy, Protocol};

use crate::world::ServiceFacts;

/// Whether a policy looks at anything that only HTTP has.
pub(super) fn has_http_conditions(policy: &AuthorizationPolicy) -> bool {
    policy.rules.iter().any(|rule| {
        !rule.headers.is_empty()
            || rule.to.iter().any(|to| {
                !to.methods.is_empty()
                    || !to.not_methods.is_empty()
                    || !to.paths.is_empty()
                    || !to.not_paths.is_empty()
                    || !to.hosts.is_empty()
                    || !to.not_hosts.is_empty()
            })
    })
}

/// Whether these Services declare ports, and none that speaks HTTP.
pub(super) fn none_speaks_http<'w>(services: impl IntoIterator<Item = &'w ServiceFacts>) -> bool {
    let mut declared = false;
    for port in services.into_iter().flat_map(|service| &service.ports) {
        declared = true;
        if port.protocol.is_http() {
            return false;
        }
    }
    declared
}

/// Whether rules of one kind can steer a port.
pub(super) fn carries(protocol: Protocol, http: bool) -> bool {
    match http {
        true => protocol.is_http(),
        // A connection that is not sniffed as HTTP is TCP.
        false => matches!(protocol, Protocol::Tcp | Protocol::Tls | Protocol::Auto),
    }
}
