//! Telling users what became of their objects.

/// Statuses in the objects themselves.
mod api;
/// GatewayClasses that name this controller.
mod classes;
/// Statuses as files.
mod files;
/// When a status is told.
mod pace;

use weft_crds::{
    ObjectRef,
    status::{GatewayStatus, Status},
};

pub use api::StatusApi;
pub use classes::accept_classes;
pub use files::StatusFiles;
pub use pace::{Pace, waits_for_proxies};

/// Where statuses are told.
pub trait StatusWriter: Clone + Send + Sync + 'static {
    /// Tells an object's status.
    fn write(
        &self,
        object: &ObjectRef,
        status: &Status,
    ) -> impl Future<Output = Result<(), StatusError>> + Send;

    /// The object is gone: its status goes too.
    fn remove(&self, object: &ObjectRef) -> impl Future<Output = Result<(), StatusError>> + Send;

    /// Tells a Gateway's status.
    fn write_gateway(
        &self,
        gateway: &ObjectRef,
        status: &GatewayStatus,
    ) -> impl Future<Output = Result<(), StatusError>> + Send;

    /// Tells what is wrong with a manifest file; no problem: it was mended.
    fn write_file(
        &self,
        file: &str,
        status: Option<&Status>,
    ) -> impl Future<Output = Result<(), StatusError>> + Send;
}

/// Why a status is not told.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// A file could not be written.
    #[error("{path}: {source}; check that the directory is writable for this user and not full")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API server refused.
    #[error(
        "status of {object}: {source}; check the ClusterRole weft-operator and the installed CRDs"
    )]
    Api {
        /// The object.
        object: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error(
        "status of {object}: the API server did not answer within {seconds} s; is it reachable?"
    )]
    Timeout {
        /// The object.
        object: String,
        /// The bound.
        seconds: u64,
    },
}
