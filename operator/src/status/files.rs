use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use weft_crds::{
    Kind, ObjectRef,
    status::{GatewayStatus, Status},
};

use super::{StatusError, StatusWriter};
use crate::publish::replace;

/// Statuses as files `<Kind>.<namespace>.<name>.json`; what is wrong with a manifest file is in
/// `File.<its path, with - for />.json`.
#[derive(Clone, Debug)]
pub struct StatusFiles {
    directory: Arc<PathBuf>,
}

impl StatusFiles {
    /// Statuses in `out/status`, which is created if need be.
    pub fn new(out: &Path) -> Result<Self, StatusError> {
        let directory = out.join("status");
        fs::create_dir_all(&directory).map_err(failed(&directory))?;
        Ok(Self {
            directory: Arc::new(directory),
        })
    }

    /// What an earlier life told of objects, and files about manifest files, which are always
    /// told anew.
    pub fn survey(&self) -> Result<HashMap<ObjectRef, Status>, StatusError> {
        let mut statuses = HashMap::new();
        for entry in fs::read_dir(&*self.directory).map_err(failed(&self.directory))? {
            let path = entry.map_err(failed(&self.directory))?.path();
            let Some(stem) = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            if stem.starts_with("File.") {
                fs::remove_file(&path).map_err(failed(&path))?;
                continue;
            }
            let Some(object) = object_of(stem) else {
                continue;
            };
            let status = fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok())
                .unwrap_or_default();
            statuses.insert(object, status);
        }
        Ok(statuses)
    }

    async fn put(&self, name: String, status: Option<&impl Serialize>) -> Result<(), StatusError> {
        let path = self.directory.join(name);
        let at = path.clone();
        let text = status.map(|status| serde_json::to_string_pretty(status).unwrap_or_default());
        let work = move || match text {
            Some(text) => replace(&path, &text),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(failed(&at)),
            Err(error) => Err(failed(&at)(io::Error::other(error))),
        }
    }
}

impl StatusWriter for StatusFiles {
    async fn write(&self, object: &ObjectRef, status: &Status) -> Result<(), StatusError> {
        self.put(name_of(object), Some(status)).await
    }

    async fn remove(&self, object: &ObjectRef) -> Result<(), StatusError> {
        self.put(name_of(object), None::<&Status>).await
    }

    async fn write_gateway(
        &self,
        gateway: &ObjectRef,
        status: &GatewayStatus,
    ) -> Result<(), StatusError> {
        self.put(name_of(gateway), Some(status)).await
    }

    async fn write_file(&self, file: &str, status: Option<&Status>) -> Result<(), StatusError> {
        let name: String = file
            .chars()
            .map(|c| if c == '/' || c.is_control() { '-' } else { c })
            .collect();
        self.put(format!("File.{name}.json"), status).await
    }
}

fn name_of(object: &ObjectRef) -> String {
    format!("{}.{}.{}.json", object.kind, object.namespace, object.name)
}

fn object_of(stem: &str) -> Option<ObjectRef> {
    let mut parts = stem.splitn(3, '.');
    let kind = match parts.next()? {
        "VirtualRoute" => Kind::VirtualRoute,
        "MeshPolicy" => Kind::MeshPolicy,
        "AuthPolicy" => Kind::AuthPolicy,
        _ => return None,
    };
    Some(ObjectRef::new(kind, parts.next()?, parts.next()?))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StatusError {
    let path = path.display().to_string();
    |source| StatusError::File { path, source }
}
