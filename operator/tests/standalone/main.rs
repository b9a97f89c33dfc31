//! The operator without a cluster, as its own process: what it promises to whoever edits a
//! directory of manifests and to the proxies that load what it writes.

mod changes;
mod failures;
mod identities;
mod restarts;
mod stage;
