//! The operator's own binary against a real API server.

/// The API server, the namespaces and what stands in them.
mod stage;

/// A running `weft-operator`.
mod operator;

/// What `kubectl wait`, Argo CD and Flux compute from an object.
mod kstatus;

/// What Argo CD computes from an object.
mod argocd;

/// From a change to its document and status, and back.
mod serving;

/// Nothing to say, nothing written.
mod silence;

/// Who leads when the leader dies.
mod leadership;

/// Certificates that verify.
mod identities;

/// Statuses that tools understand.
mod statuses;

/// Whose labels are on what is generated.
mod labels;

/// What others break, and outages.
mod repair;
