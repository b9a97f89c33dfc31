//! TCP rules.

use std::{net::IpAddr, sync::Arc};

use crate::documents::{Backend, TcpMatch, TcpRule};

/// One compiled TCP rule.
#[derive(Debug)]
pub struct CompiledTcpRule {
    /// `namespace/route/rule`.
    pub id: Arc<str>,
    /// The weighted backends.
    pub backends: Vec<Backend>,
    matches: Vec<TcpMatch>,
}

impl CompiledTcpRule {
    pub(crate) fn compile(rule: &TcpRule) -> Self {
        Self {
            id: rule.id.as_str().into(),
            backends: rule.backends.clone(),
            matches: rule.matches.clone(),
        }
    }

    /// Whether a connection to this address and port is meant.
    pub(crate) fn matches(&self, (address, port): (IpAddr, u16)) -> bool {
        self.matches.is_empty()
            || self.matches.iter().any(|entry| {
                (entry.ports.is_empty() || entry.ports.contains(&port))
                    && (entry.destination_cidrs.is_empty()
                        || entry
                            .destination_cidrs
                            .iter()
                            .any(|block| block.contains(&address)))
            })
    }
}
