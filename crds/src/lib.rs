//! What users write: VirtualRoute, MeshPolicy, AuthPolicy, and how they lower to config documents.
