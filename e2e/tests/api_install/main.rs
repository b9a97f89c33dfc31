//! Installing, re-applying and uninstalling against a real API server, in every way that people
//! use; and what whoever was installed may do.

/// An API server, the operator, and the programs that install.
mod stage;

/// Every way installs the same.
mod ways;

/// Applying again changes nothing.
mod again;

/// What stays when the mesh goes.
mod uninstalling;

/// What PodSecurity says of the control plane, and of pods of the mesh.
mod pod_security;

/// What Argo CD is told.
mod gitops;

/// Rights, all of them.
mod rights;
