//! A whole call over a set of documents: the client's side, then each possible server's side.
//! What `weft why`, `weft test` and the corpus run.

mod arrival;
mod departure;
mod dialled;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    documents::{Document, DocumentName, MeshDocument},
    identity::{SpiffeId, Workload},
    trace::{Recorder, Step},
};

/// `namespace/service` → the meshed workloads behind it, each with its mapping of Service port to
/// the pod's own port; and the address of a meshed pod → that pod, with nothing to map. What is not
/// in it is not meshed, and is reached as it is.
pub type Servers = BTreeMap<String, Vec<(Workload, BTreeMap<u16, u16>)>>;

/// One call to follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    /// The calling workload; `None`: an unmeshed client (plaintext, straight to the server) or,
    /// with `gateway`, a client outside the cluster. With `gateway` it has no say: a gateway
    /// sees no identity.
    pub source: Option<Workload>,
    /// The client's address as the server's proxy sees it. Default 10.0.0.1.
    pub source_address: Option<IpAddr>,
    /// `namespace/name` of the Service called.
    pub service: String,
    /// The Service's port, or the gateway listener's.
    pub port: u16,
    /// The pod that the client dials itself, instead of a service; `port` is the pod's own.
    pub address: Option<IpAddr>,
    /// `namespace/name` of the gateway that the call enters at, instead of a service. Towards
    /// the servers it is `ns/<namespace>/sa/<name>`.
    pub gateway: Option<String>,
    /// Absent for a TCP connection.
    pub http: Option<HttpCall>,
}

/// The HTTP request of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCall {
    /// Default GET.
    pub method: String,
    /// Host; default: the service's full name.
    pub authority: String,
    /// Path and query as sent. Default `/`.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

/// What becomes of the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// The status that the mesh itself answers (400, 403, 404, 500, a redirect's or direct response's); `None`: the
    /// request reaches an application. A TCP connection that is closed has the status that a
    /// request would have: 403 where it is refused, 404 where no rule takes it, 500 where its
    /// backend does not resolve.
    pub status: Option<u16>,
    /// The route rule that won (`namespace/route/rule`).
    pub route: Option<String>,
    /// Each backend that may be drawn with its share in percent, e.g. `shop/reviews:9080{version=v1}` → 80.
    pub backends: BTreeMap<String, f64>,
    /// `namespace/policy/rule` that refused (`…/-` where nothing allowed it). Where plaintext met a
    /// workload that takes none: `namespace/policy/mtls`, or `mtls/strict` by the mesh's default.
    pub denied_by: Option<String>,
    /// Shadow policies that would have refused.
    pub would_deny: Vec<String>,
    /// The path that the application sees.
    pub path: Option<String>,
    /// `Location` of a redirect.
    pub location: Option<String>,
    /// Every step.
    pub steps: Vec<Step>,
}

/// Why a call cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
    /// Nothing by that name.
    #[error("there is no {0}; check namespace, name and port")]
    NotFound(String),
    /// The call itself cannot be made.
    #[error("the call's {field} is `{value}`, which no client can send; correct it")]
    InvalidCall {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
}

/// Follows a call. Deterministic: every backend is considered, none is drawn. The server's side is
/// decided for each distinct workload (identity and labels) behind the backends that is given in `servers`
/// (`namespace/service` → its workloads and target port); where they differ, the stricter outcome is given.
pub fn follow(
    documents: &BTreeMap<DocumentName, Document>,
    servers: &Servers,
    call: &Call,
) -> Result<Outcome, JourneyError> {
    let world = World::new(documents, servers);
    let request = match &call.http {
        Some(http) => Some(Request::new(http, call, &world)?),
        None => None,
    };
    let mut recorder = Recorder::default();
    let departed = match (&call.gateway, &call.source) {
        (Some(gateway), _) => departure::at_gateway(&world, call, gateway, request, &mut recorder)?,
        (None, source) if let Some(address) = call.address => {
            let dialled = (address, call.port).into();
            dialled::to_pod(
                &world,
                call,
                source.as_ref(),
                dialled,
                request,
                &mut recorder,
            )?
        }
        (None, Some(source)) => {
            departure::from_workload(&world, call, source, request, &mut recorder)?
        }
        (None, None) => departure::unmeshed(&world, call, request)?,
    };
    let mut outcome = departed.outcome;
    if let Some(sent) = departed.sent {
        arrival::arrive(&world, call, &sent, &mut outcome, &mut recorder);
    }
    outcome.steps = recorder.0;
    Ok(outcome)
}

/// What a call plays in.
struct World<'w> {
    documents: &'w BTreeMap<DocumentName, Document>,
    servers: &'w Servers,
    mesh: MeshDocument,
}

impl<'w> World<'w> {
    fn new(documents: &'w BTreeMap<DocumentName, Document>, servers: &'w Servers) -> Self {
        let mut mesh = match documents.get(&DocumentName::Mesh) {
            Some(Document::Mesh(mesh)) => mesh.clone(),
            _ => MeshDocument::default(),
        };
        for domain in [&mut mesh.trust_domain, &mut mesh.cluster_domain] {
            if domain.is_empty() {
                "cluster.local".clone_into(domain);
            }
        }
        Self {
            documents,
            servers,
            mesh,
        }
    }

    fn identity(&self, namespace: &str, account: &str) -> Result<SpiffeId, JourneyError> {
        SpiffeId::new(&self.mesh.trust_domain, namespace, account).map_err(|error| {
            JourneyError::InvalidCall {
                field: "source",
                value: error.0,
            }
        })
    }
}

/// The request on its way.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    authority: String,
    path_and_query: String,
    headers: HeaderMap,
}

impl Request {
    fn new(http: &HttpCall, call: &Call, world: &World<'_>) -> Result<Self, JourneyError> {
        let or =
            |value: &str, default: &str| if value.is_empty() { default } else { value }.to_owned();
        let full_name = match call.service.split_once('/') {
            _ if let Some(address) = call.address => {
                SocketAddr::new(address, call.port).to_string()
            }
            Some((namespace, name)) => {
                format!("{name}.{namespace}.svc.{}", world.mesh.cluster_domain)
            }
            None => String::new(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &http.headers {
            let parsed = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            );
            let sendable = match parsed {
                (Ok(name), Ok(value)) => headers.try_append(name, value).is_ok(),
                _ => false,
            };
            if !sendable {
                return Err(JourneyError::InvalidCall {
                    field: "header",
                    value: format!("{name}: {value}"),
                });
            }
        }
        Ok(Self {
            method: or(&http.method, "GET"),
            authority: or(&http.authority, &full_name),
            path_and_query: or(&http.path, "/"),
            headers,
        })
    }
}

/// The client's address where the call names none.
const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// What left the client's side.
struct Departed {
    outcome: Outcome,
    /// `None`: the mesh answered.
    sent: Option<Sent>,
}

/// What goes to the servers.
struct Sent {
    request: Option<Request>,
    /// The identity that the connection proves; `None` in plaintext.
    identity: Option<SpiffeId>,
    backends: Vec<crate::documents::Backend>,
    /// The pod that was dialled itself, if it gets some of it.
    pod: Option<IpAddr>,
}

#[cfg(test)]
mod tests;
