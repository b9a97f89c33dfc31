use http::{Request, header::CONTENT_TYPE};
use kube::Client;
use serde_json::{Value, json};

use crate::BenchError;

/// Operations of one transaction; etcd takes 128.
const TOGETHER: usize = 100;

/// etcd itself, by its JSON gateway. What controllers, a scheduler and kubelets would have written,
/// which do not run, is written here: the API server reads it like its own. That is also the only
/// way to have ten thousand Services soon: for each that the API creates, the API server walks all
/// addresses that are taken.
pub(super) struct Store {
    client: Client,
}

impl Store {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Puts objects under their keys.
    pub(super) async fn put(&self, objects: &[(String, Value)]) -> Result<(), BenchError> {
        for some in objects.chunks(TOGETHER) {
            let operations: Vec<Value> = some
                .iter()
                .map(|(key, object)| {
                    let (key, value) = (base64(key.as_bytes()), object.to_string());
                    json!({"requestPut": {"key": key, "value": base64(value.as_bytes())}})
                })
                .collect();
            self.ask("/v3/kv/txn", &json!({"success": operations}))
                .await?;
        }
        Ok(())
    }

    /// Deletes everything whose key begins with `prefix`.
    pub(super) async fn delete_below(&self, prefix: &str) -> Result<(), BenchError> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let range = json!({"key": base64(prefix.as_bytes()), "range_end": base64(&end)});
        self.ask("/v3/kv/deleterange", &range).await
    }

    async fn ask(&self, path: &str, question: &Value) -> Result<(), BenchError> {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(question.to_string().into_bytes())
            .map_err(BenchError::api(path))?;
        let answer = self.client.request_text(request).await;
        answer.map(drop).map_err(BenchError::api(path))
    }
}

/// As RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    let encoded = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec()));
    match encoded {
        Ok(Value::String(text)) => text,
        // A ByteString is a string in JSON.
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
