//! ConfigMaps and watch events, as far as they are needed.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The key that holds the envelope.
const KEY: &str = "document";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) resource_version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfigMap {
    pub(super) metadata: Metadata,
    data: BTreeMap<String, String>,
}

impl ConfigMap {
    /// The envelope's JSON; empty (which is no document) where the key is missing.
    pub(super) fn document(mut self) -> String {
        self.data.remove(KEY).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ConfigMapList {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) items: Vec<ConfigMap>,
}

/// The API's own error object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
pub(super) enum WatchEvent {
    Added(ConfigMap),
    Modified(ConfigMap),
    Deleted(ConfigMap),
    Bookmark(ConfigMap),
    Error(Status),
}
