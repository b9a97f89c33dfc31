//! Where objects come from: an API server's watches, or a directory of manifests.

/// Watches of an API server.
mod cluster;
/// Which files declare which object.
mod declared;
/// A directory of manifests, looked at.
mod directory;
/// One file of manifests.
mod file;
/// A directory of manifests, watched.
mod manifests;
/// Objects of an API server that are read once for each spec.
mod reader;
/// What the system reported of a directory.
mod reported;
/// Objects of an API server that are read one by one.
mod resources;
/// What of an object the mesh has no use for.
mod trim;
/// The files below a directory.
mod walk;

#[cfg(test)]
mod tests;

use weft_crds::{Object, ObjectRef};
use weft_engine::problem::Problem;

use crate::publish::Observation;

pub use cluster::{Cluster, watch};
pub use directory::Directory;
pub use manifests::{WatchedDirectory, watch_directory};
pub use reported::Scope;
pub(crate) use resources::resource_of;

/// How many changes may wait for the world; beyond that the source waits.
pub const QUEUE: usize = 1024;

/// One thing that a source saw.
#[derive(Debug)]
pub enum Change {
    /// An object, new or changed, with the status that is stored of it.
    Applied {
        /// The object.
        object: Box<Object>,
        /// Its stored status, for the kinds whose status we write.
        status: Option<serde_json::Value>,
    },
    /// The status that is stored of an object whose spec is the one that was applied last.
    Told {
        /// Which object.
        object: ObjectRef,
        /// Its stored status.
        status: Option<serde_json::Value>,
    },
    /// An object that is gone.
    Removed(ObjectRef),
    /// An object that exists and cannot be read; what it said before stays in force.
    Unreadable {
        /// Which object.
        object: ObjectRef,
        /// Why.
        problem: Problem,
    },
    /// What is wrong with a file, all of it; empty when it was mended.
    File {
        /// Its path below the root.
        file: String,
        /// Its problems.
        problems: Vec<Problem>,
    },
    /// A stored document that the watch of our own output saw.
    Stored(Observation),
    /// Everything that exists now has been named: from here on the world is complete.
    Complete,
}
