//! Bytes, both ways.

use crate::{Ends, Stream};

/// What one direction holds.
const BUFFER: usize = 16 * 1024;

/// Forwards until both sides have said that they are done, or one fails.
pub(crate) async fn serve(mut stream: Stream, ends: &Ends) {
    if let Ok(mut other) = ends.connected().await {
        let _ =
            tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut other, BUFFER, BUFFER).await;
    }
}
