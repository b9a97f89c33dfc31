//! HTTP/2 on hyper, all requests over one connection to the other side.

use std::{cell::RefCell, rc::Rc};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use crate::{Ends, Stream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What may be under way on one connection.
const STREAMS: u32 = 1024;

/// hyper's tasks stay on this thread.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        spawn_local(async move {
            future.await;
        });
    }
}

/// The connection to the other side.
pub(crate) struct Shared {
    ends: Rc<Ends>,
    open: RefCell<Option<SendRequest<Incoming>>>,
}

impl Shared {
    /// None yet.
    pub(crate) fn new(ends: Rc<Ends>) -> Self {
        Self {
            ends,
            open: RefCell::default(),
        }
    }

    async fn take(&self) -> Result<SendRequest<Incoming>, BoxError> {
        if let Some(open) = &*self.open.borrow()
            && !open.is_closed()
        {
            return Ok(open.clone());
        }
        // Two at once open two connections; the later one stays.
        let stream = self.ends.connected().await?;
        let (sender, connection) = handshake(Here, TokioIo::new(stream)).await?;
        spawn_local(async move {
            let _ = connection.await;
        });
        *self.open.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Incoming>, BoxError> {
        let mut sender = self.take().await?;
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(stream: Stream, shared: Rc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { shared.forward(request).await }
    });
    let _ = http2::Builder::new(Here)
        .max_concurrent_streams(STREAMS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
