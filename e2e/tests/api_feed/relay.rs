//! What stands between a proxy and the API server: here, something that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Hands connections on to the API server. Ends with the test's runtime.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    made: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            made: Arc::default(),
            open: Arc::default(),
        };
        let (made, open) = (relay.made.clone(), relay.open.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                made.fetch_add(1, Ordering::SeqCst);
                let task = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                open.retain(|task| !task.is_finished());
                open.push(task.abort_handle());
            }
        });
        relay
    }

    /// Cuts every connection, in the middle of whatever is said on it.
    pub(crate) fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for task in open.drain(..) {
            task.abort();
        }
    }

    /// Connections that were made.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}
