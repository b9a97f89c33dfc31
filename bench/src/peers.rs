//! How each peer is set up: what its documentation says, one thread, connections kept.

/// Envoy.
pub mod envoy;

/// The floors of ours.
pub mod floor;

/// haproxy, as a proxy and as the backend that speaks TLS.
pub mod haproxy;

/// nginx, as a proxy and as the backend.
pub mod nginx;

/// Weft, standalone.
pub mod weft;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::BenchError;

/// Bytes of the backend's response body.
pub const BODY: usize = 1024;

/// Writes a configuration and returns its path.
fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, BenchError> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(BenchError::file(&path))?;
    Ok(path)
}
