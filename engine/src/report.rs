//! What a proxy tells the operator: the documents that it has active.
//!
//! `POST /v1/reports` over mesh TLS. A report says what changed since the last one that was taken,
//! or, where there is none, everything. Whoever lost the thread says so and gets everything
//! again, so that neither side keeps a queue: the newest state is all that is ever told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::documents::DocumentName;

/// Where reports are posted.
pub const PATH: &str = "/v1/reports";

/// The ALPN protocol of a connection that reports travel on.
pub const ALPN: &str = "weft/http1";

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The pod's name. Its namespace and service account are the certificate's.
    pub pod: String,
    /// Differs between two lives of a proxy in one pod.
    pub boot: String,
    /// Grows with each report.
    pub sequence: u64,
    /// The sequence of the report that this one builds on; `None`: it says everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// Documents that are active, or that came to be since `base`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub active: BTreeMap<DocumentName, Active>,
    /// Documents that are no longer active since `base`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<DocumentName>,
    /// The proxy ends: it is not to be counted any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// A document that a proxy uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// The digest that is in use; [`Self::NOTHING`] where the first version that came was refused.
    pub digest: String,
    /// Why a newer version was refused, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

impl Active {
    /// The digest of no document.
    pub const NOTHING: &str = "00000000000000000000000000000000";
}

/// The answer to a report that was taken (200).
///
/// The others carry a line of text: 409 the report builds on one that is not known, tell
/// everything; 421 this operator does not lead; 403 the pod is not one of the certificate's
/// account; 400, 413 not understood; 503 later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Say something at least this often, in seconds.
    pub heartbeat_seconds: u64,
}
