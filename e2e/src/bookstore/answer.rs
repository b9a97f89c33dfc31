//! What every answer says about the instance that gave it.

use axum::http::{HeaderMap, Method, Uri};
use serde::{Deserialize, Serialize};

/// The header in which an inbound proxy says who called.
pub const CLIENT_CERT: &str = "x-forwarded-client-cert";

/// Which instance of which service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The service's name.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The pod's name.
    pub instance: String,
}

/// One answer: the instance, what it saw of the request, and its content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Who answers.
    #[serde(flatten)]
    pub by: Instance,
    /// The method that arrived.
    #[serde(default)]
    pub method: String,
    /// The path that arrived.
    #[serde(default)]
    pub path: String,
    /// The value of [`CLIENT_CERT`], if there was one.
    #[serde(default)]
    pub client_cert: Option<String>,
    /// What was asked for.
    #[serde(default)]
    pub content: serde_json::Value,
}

impl Instance {
    /// An answer to a request.
    pub fn answer(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        content: serde_json::Value,
    ) -> Answer {
        Answer {
            by: self.clone(),
            method: method.to_string(),
            path: uri
                .path_and_query()
                .map_or("/", axum::http::uri::PathAndQuery::as_str)
                .to_owned(),
            client_cert: client_cert(headers),
            content,
        }
    }
}

impl Answer {
    /// The caller's SPIFFE ID, as the mesh vouched for it.
    pub fn caller(&self) -> Option<&str> {
        let elements = self.client_cert.as_deref()?.split(';');
        elements
            .filter_map(|element| element.strip_prefix("URI="))
            .next()
    }
}

/// The value of [`CLIENT_CERT`], if there is one.
pub(super) fn client_cert(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CLIENT_CERT)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
