//! WebSocket and whatever else leaves HTTP: once both sides have switched, bytes go through
//! unread until one side ends or nothing comes for the idle time-out.

use std::time::Duration;

use bytes::Bytes;

use super::{attempt::Answered, observation::Observation};
use crate::{
    connection::{Prefixed, Stream},
    tcp::copy_both,
    upstream::{UpstreamStream, pool::ConnectionPermit},
};

/// The server's side of a connection that switches protocols.
#[derive(Debug)]
pub(super) struct Switched {
    /// What the server has sent in the new protocol already.
    pub prefix: Bytes,
    pub server: UpstreamStream,
    /// Counts the connection against the pool's bound.
    pub permit: ConnectionPermit,
    pub answered: Answered,
    pub observation: Box<Observation>,
    pub idle: Duration,
}

impl Switched {
    /// Carries bytes until the end. `client`: what of the new protocol was read, and the stream;
    /// `None`: the client's side did not switch.
    pub(super) async fn run(self, client: Option<(Bytes, Stream)>) {
        let mut observation = self.observation;
        let Some((prefix, client)) = client else {
            observation.flag = Some("upgrade_failed");
            return;
        };
        let mut client = Prefixed::new(prefix, client);
        let mut server = Prefixed::new(self.prefix, self.server);
        let (copied, result) = copy_both(&mut client, &mut server, self.idle).await;
        let bytes = &observation.request_bytes;
        bytes.set(bytes.get().saturating_add(copied.sent));
        observation.response_bytes = observation.response_bytes.saturating_add(copied.received);
        if let Err(error) = result {
            observation.flag = Some(error.flag());
        }
        drop((self.answered, self.permit));
    }
}
