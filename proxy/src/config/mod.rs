//! Config documents in, views out. A view is immutable and swapped whole when one of its
//! documents changes; whoever holds the old one finishes with it. In flow order:

/// Documents as ConfigMaps, over the Kubernetes API.
mod api;
/// Documents as files of a directory.
mod dir;
/// Follows documents by name: the contract of the two feeds.
mod feed;
/// The last good documents on disk.
mod last_good;
/// inotify, as a hint to whoever polls.
mod watch;

/// Pods of the mesh by address.
mod addresses;
/// What many documents have alike.
mod alike;
/// A service's documents, put together.
mod assembly;
/// Takes documents in and publishes views.
mod keeper;
/// A call to a pod that the client chose itself.
mod pod_call;
/// What workers read.
mod store;
mod view;

pub use addresses::{Addressed, PodView};
pub use api::{ApiError, ApiFeed, ApiServer};
pub use dir::DirFeed;
pub use feed::{Feed, FeedEvent};
pub use keeper::Keeper;
pub use last_good::LastGood;
pub use pod_call::PodCall;
pub use store::{ActiveDocument, ConfigStore, LOAD_TIMEOUT};
pub use view::{EndpointView, GatewayView, ServiceView};
pub(crate) use watch::DirectoryWatch;
