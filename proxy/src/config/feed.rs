//! Follows documents by name.

use std::future::Future;

use weft_engine::documents::DocumentName;

/// What a feed has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// The document's stored bytes, as they are now.
    Document {
        /// Its name.
        name: DocumentName,
        /// The envelope's JSON, not yet looked into.
        json: String,
    },
    /// There is no such document: the source was asked and said so.
    Absent {
        /// Its name.
        name: DocumentName,
    },
    /// The source cannot be asked now. What is in use stays in use.
    Unreachable {
        /// The document that could not be had.
        name: DocumentName,
        /// Why.
        reason: String,
    },
}

impl FeedEvent {
    /// The document that it speaks of.
    pub fn name(&self) -> &DocumentName {
        match self {
            Self::Document { name, .. }
            | Self::Absent { name }
            | Self::Unreachable { name, .. } => name,
        }
    }
}

/// A source of documents.
pub trait Feed: Send + 'static {
    /// Begins to follow a document: one event about it as soon as its state is known, and one
    /// after each change. Following what is followed changes nothing.
    fn follow(&mut self, name: DocumentName);

    /// Ends it.
    fn unfollow(&mut self, name: &DocumentName);

    /// The next event. Cancel safe.
    fn next(&mut self) -> impl Future<Output = FeedEvent> + Send;
}
