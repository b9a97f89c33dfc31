//! What users write, and how it becomes config documents.
//!
//! Pure: this crate never talks to a server. In flow order:

/// Durations as the Gateway API writes them.
pub mod duration;

/// What a route or a policy is attached to.
#[allow(unreachable_pub)] // KubeSchema copies each struct into a function
pub mod reference;

/// Where traffic goes.
#[allow(unreachable_pub)] // KubeSchema copies each struct into a function
pub mod virtual_route;

/// How traffic behaves.
#[allow(unreachable_pub)] // KubeSchema copies each struct into a function
pub mod mesh_policy;

/// Who may.
#[allow(unreachable_pub)] // KubeSchema copies each struct into a function
pub mod auth_policy;

/// What became of an object.
pub mod status;

/// The three CustomResourceDefinitions, as they are installed.
pub mod definitions;

/// One input object: a Kubernetes object or one of the three kinds.
pub mod object;

mod gateway;
mod translate;

/// What can still be read of a refused object.
mod salvage;

#[cfg(test)]
mod fixtures;

/// Whether an object means something: the schema, its CEL rules, and what they cannot say.
pub mod validate;

/// Objects from YAML files.
pub mod manifests;

/// Every input at one instant, as compact facts with the indexes that say what a change touches.
pub mod world;

/// World → documents and problems; pure, per key.
pub mod lower;

/// What an object would mean if it were there: what admission says of it.
pub mod judge;

/// Cases: a call and what must become of it; run by the library, the CLI and live proxies.
pub mod corpus;

pub use auth_policy::{AuthPolicy, AuthPolicySpec};
pub use lower::{Lowered, lower, lower_all};
pub use mesh_policy::{MeshPolicy, MeshPolicySpec};
pub use object::{Kind, Object, ObjectRef};
pub use virtual_route::{VirtualRoute, VirtualRouteSpec};
pub use world::{Key, Settings, World};

/// The API group of all three kinds.
pub const GROUP: &str = "weft.dev";

/// The version of all three kinds.
pub const VERSION: &str = "v1alpha1";

/// The controller's name in `status.ancestors`, as the Gateway API asks for.
pub const CONTROLLER: &str = "weft.dev/operator";
