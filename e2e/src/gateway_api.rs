//! The CRDs of the Gateway API, which no cluster has by itself: out of the Go module that
//! publishes them, in the version that `e2e/tools/gateway-api` pins. Go's own module cache keeps
//! them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::binaries::Go;

const MODULE: &str = "sigs.k8s.io/gateway-api";

/// Why there are no CRDs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Go that could fetch them.
    #[error("the CRDs of the Gateway API come with a Go module, and {0}; install Go 1.21 or later")]
    NoGo(String),
    /// Go was started and did not succeed.
    #[error(
        "`go mod download {MODULE}` failed: {0}; can the Go module proxy be reached (`go env GOPROXY`)?"
    )]
    Download(String),
}

/// The folder of the CRDs of the standard channel.
///
/// # Errors
/// Where the module can be neither found nor fetched.
pub fn crds() -> Result<PathBuf, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: Option<PathBuf>,
        error: Option<String>,
    }
    let go = Go::find().map_err(Error::NoGo)?;
    let output = Command::new(&go.path)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/gateway-api"))
        .args(["mod", "download", "-json", MODULE])
        .env("GOTOOLCHAIN", "auto")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .output()
        .map_err(|error| Error::Download(error.to_string()))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let module: Module =
        serde_json::from_slice(&output.stdout).map_err(|_| Error::Download(said()))?;
    match (module.dir, module.error) {
        (Some(dir), None) => Ok(dir.join("config/crd/standard")),
        (_, error) => Err(Error::Download(error.unwrap_or_else(said))),
    }
}
