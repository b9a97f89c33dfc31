//! The names of Services, served by CoreDNS in a pod, as everywhere.

/// What is applied.
pub(super) const MANIFEST: &str = include_str!("coredns.yaml");
