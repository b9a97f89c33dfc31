use std::{convert::Infallible, pin::Pin, task::Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::spawn_local};

/// hyper's tasks stay on this thread.
#[derive(Clone, Copy, Debug)]
struct Here;

impl<F> hyper::rt::Executor<F> for Here
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Serves one connection until it ends. What a path ends in decides: `/Unary` answers once the
/// whole call is there, anything else as it comes.
pub(super) async fn serve(stream: TcpStream) {
    let _ = http2::Builder::new(Here)
        .max_concurrent_streams(1024)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Trailed<Either<Full<Bytes>, Incoming>>>, hyper::Error> {
    let body = if request.uri().path().ends_with("/Unary") {
        Either::Left(Full::new(request.into_body().collect().await?.to_bytes()))
    } else {
        Either::Right(request.into_body())
    };
    let mut response = Response::new(Trailed { body, ended: false });
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

/// A body's data, and that all went well.
struct Trailed<B> {
    body: B,
    ended: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Trailed<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            if let Some(Ok(frame)) = frame {
                match frame.into_data() {
                    // What ends a client's stream; more than one would be taken for a flood.
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    // The client's trailers say nothing here.
                    Err(_) => continue,
                }
            }
            self.ended = true;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
    }
}
