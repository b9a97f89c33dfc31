//! Reconciles the CRDs into config documents and issued identities.
