use http::{Method, Request, header::CONTENT_TYPE};
use kube::Client;
use serde_json::Value;

use crate::BenchError;

/// Sends JSON, and looks at no more of an answer than its status: what is measured shares the
/// machine with who asks.
#[derive(Clone)]
pub(super) struct Requests {
    client: Client,
}

impl Requests {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates an object in the collection at `path`.
    pub(super) async fn create(&self, path: &str, object: &Value) -> Result<(), BenchError> {
        self.send(Method::POST, path, "application/json", object)
            .await
    }

    /// Replaces the fields that `patch` names.
    pub(super) async fn merge(&self, path: &str, patch: &Value) -> Result<(), BenchError> {
        self.send(Method::PATCH, path, "application/merge-patch+json", patch)
            .await
    }

    /// Applies JSON Patch operations.
    pub(super) async fn edit(&self, path: &str, operations: &Value) -> Result<(), BenchError> {
        self.send(
            Method::PATCH,
            path,
            "application/json-patch+json",
            operations,
        )
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<(), BenchError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, kind)
            .body(body.to_string().into_bytes())
            .map_err(BenchError::api(path))?;
        let answer = self.client.request_text(request).await;
        answer.map(drop).map_err(BenchError::api(path))
    }
}
