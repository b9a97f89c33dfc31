//! The contract between operator and proxy: small, versioned JSON documents.
//!
//! One document per thing that changes on its own, so that the cost of a change is the size
//! of the thing that changed. The operator writes them (ConfigMaps in a cluster, files
//! standalone); the proxy reads them and never sees a CRD.
//!
//! Compatibility: a reader of version N accepts N−1 and N+1. Unknown fields are ignored by
//! serde and reported by [`Envelope::unknown_fields`]; they are never fatal.

mod envelope;
mod name;

mod addresses;
mod authorization;
mod client_policy;
mod endpoints;
mod gateway;
mod inbound;
mod index;
mod labels;
mod mesh;
mod route;
mod service;

pub use addresses::{ADDRESS_SHARDS, AddressesDocument, PodAddress};
pub use authorization::{
    AuthAction, AuthRule, AuthorizationPolicy, HeaderCondition, PolicyMode, RuleFrom, RuleTo,
    Selector,
};
pub use client_policy::{
    ClientPolicy, ConnectionPool, Keepalive, LoadBalancing, OutlierDetection, RetryBudget, Timeouts,
};
pub use endpoints::{Endpoint, EndpointGroup, EndpointsDocument};
pub use envelope::{Document, Envelope, EnvelopeError, VERSION};
pub use gateway::{GatewayDocument, GatewayListener};
pub use inbound::{InboundDocument, InboundPort, MtlsMode, MtlsPolicy};
pub use index::{INDEX_SHARDS, IndexDocument};
pub use labels::Labels;
pub use mesh::{MeshDocument, ReportTo};
pub use name::{DocumentName, NameError};
pub use route::{
    Backend, DirectResponse, HeaderChanges, HeaderMatch, HttpAction, HttpMatch, HttpRule,
    PathMatch, PathRewrite, Redirect, Retry, RetryOn, Rewrite, RouteScope, RouteTimeouts,
    SourceMatch, TcpMatch, TcpRule, ValueMatch,
};
pub use service::{Protocol, ServiceDocument, ServicePort, ServiceRef};

/// A duration in milliseconds.
pub type Millis = u64;
