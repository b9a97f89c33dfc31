//! The doors that the command line opens.

use std::{net::SocketAddr, sync::Arc};

use weft_engine::documents::ServiceRef;

use crate::{bootstrap::Bootstrap, connection::Direction};

/// A listening address and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What for.
    pub kind: Kind,
}

/// What a door is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The application's redirected connections, and HTTP by `Host`.
    Outbound,
    /// The application's connections to one service port.
    OutboundBound(ServiceRef),
    /// Redirected connections to the pod.
    Inbound,
    /// Connections to one of the pod's own ports.
    InboundBound {
        /// Where the application listens.
        app: SocketAddr,
    },
    /// Connections to a gateway's listener.
    Gateway(Arc<str>),
}

impl Door {
    /// The direction of what comes in here.
    pub fn direction(&self) -> Direction {
        match self.kind {
            Kind::Outbound | Kind::OutboundBound(_) => Direction::Outbound,
            Kind::Inbound | Kind::InboundBound { .. } => Direction::Inbound,
            Kind::Gateway(_) => Direction::Gateway,
        }
    }
}

/// Every door of a command line.
pub fn doors(bootstrap: &Bootstrap) -> Vec<Door> {
    let outbound = bootstrap.outbound.map(|listen| Door {
        listen,
        kind: Kind::Outbound,
    });
    let outbound_bound = bootstrap.outbound_bind.iter().map(|bind| Door {
        listen: bind.listen,
        kind: Kind::OutboundBound(bind.service.clone()),
    });
    let inbound = bootstrap.inbound.map(|listen| Door {
        listen,
        kind: Kind::Inbound,
    });
    let inbound_bound = bootstrap.inbound_bind.iter().map(|bind| Door {
        listen: bind.listen,
        kind: Kind::InboundBound { app: bind.app },
    });
    let gateway = bootstrap.gateway_bind.iter().map(|bind| Door {
        listen: bind.listen,
        kind: Kind::Gateway(bind.listener.as_str().into()),
    });
    outbound
        .into_iter()
        .chain(outbound_bound)
        .chain(inbound)
        .chain(inbound_bound)
        .chain(gateway)
        .collect()
}
