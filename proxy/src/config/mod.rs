//! Config documents in, views out. A view is immutable and swapped whole when one of its
//! documents changes; whoever holds the old one finishes with it.
//!
//! A feed (`dir`, `api`) follows documents by name and says what they hold; the
//! keeper puts them together and publishes views; the store is what workers read.

mod store;
mod view;
mod watch;

pub use store::{ActiveDocument, ConfigStore, LOAD_TIMEOUT};
pub use view::{EndpointView, GatewayView, ServiceView};
pub(crate) use watch::watch_directory;
