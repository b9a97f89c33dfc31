//! HTTP/1.1 on hyper, with kept connections on both sides.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::CONNECTION,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use crate::{Ends, Stream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connections to the other side that are kept.
const KEPT: usize = 256;

/// Idle connections, the longest idle first.
pub(crate) struct Pool {
    ends: Rc<Ends>,
    idle: RefCell<VecDeque<SendRequest<Incoming>>>,
}

impl Pool {
    /// An empty one.
    pub(crate) fn new(ends: Rc<Ends>) -> Self {
        Self {
            ends,
            idle: RefCell::default(),
        }
    }

    async fn take(&self) -> Result<SendRequest<Incoming>, BoxError> {
        // A connection whose response is still being read is not ready; it goes to the end.
        let kept = self.idle.borrow().len();
        for _ in 0..kept {
            let Some(sender) = self.idle.borrow_mut().pop_front() else {
                break;
            };
            if sender.is_ready() {
                return Ok(sender);
            }
            self.give(sender);
        }
        let stream = self.ends.connected().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }

    fn give(&self, sender: SendRequest<Incoming>) {
        let mut idle = self.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < KEPT {
            idle.push_back(sender);
        }
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Incoming>, BoxError> {
        request.headers_mut().remove(CONNECTION);
        let mut sender = self.take().await?;
        let mut response = sender.send_request(request).await?;
        response.headers_mut().remove(CONNECTION);
        self.give(sender);
        Ok(response)
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(stream: Stream, pool: Rc<Pool>) {
    let service = service_fn(move |request| {
        let pool = pool.clone();
        async move { pool.forward(request).await }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
