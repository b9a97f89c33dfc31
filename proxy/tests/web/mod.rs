//! HTTP applications and clients, and a service of meshed instances to put between them.
// Every test binary uses its part of it.
#![allow(dead_code, unreachable_pub)]

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request::Builder};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use weft_engine::documents::{
    Backend, HttpAction, HttpRule, Protocol, RouteScope, ServicePort, ServiceRef,
};

use crate::mesh::{Member, Mesh, Proxy, beside, fresh_address};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Any call ends within this.
pub const BOUND: Duration = Duration::from_secs(10);

/// An application; what it was asked is kept.
#[derive(Clone)]
pub struct App {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
    connections: Arc<AtomicUsize>,
}

impl App {
    /// Answers with what `handle` makes of each request; speaks HTTP/1.1 and HTTP/2.
    pub async fn start<F>(
        address: SocketAddr,
        handle: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let app = Self {
            address,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let handle: Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync> =
            Arc::new(move |request| Box::pin(handle(request)));
        let listener = TcpListener::bind(address).await.expect("a fresh address");
        let this = app.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                this.connections.fetch_add(1, Ordering::Relaxed);
                let (this, handle) = (this.clone(), handle.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (this, handle) = (this.clone(), handle.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let Ok(body) = body.collect().await else {
                            return Ok::<_, Infallible>(status(400));
                        };
                        let request = Request::from_parts(parts, body.to_bytes());
                        this.seen.lock().unwrap().push(copy(&request));
                        Ok(handle(request).await)
                    }
                });
                tokio::spawn(async move {
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        app
    }

    /// Answers 200 with its name.
    pub async fn named(address: SocketAddr, name: &'static str) -> Self {
        Self::start(address, move |_| async move { text(200, name) }).await
    }

    /// Answers with this status.
    pub async fn failing(address: SocketAddr, code: u16) -> Self {
        Self::start(address, move |_| async move { status(code) }).await
    }

    pub fn seen(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().unwrap().iter().map(copy).collect()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn copy(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

pub fn status(code: u16) -> Response<Body> {
    text(code, "")
}

pub fn text(code: u16, body: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// A body of these frames.
pub fn frames(frames: Vec<Frame<Bytes>>) -> Body {
    StreamBody::new(futures::stream::iter(frames.into_iter().map(Ok))).boxed_unsync()
}

/// A whole response.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub trailers: Option<HeaderMap>,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// One client connection.
pub enum Client {
    Http1(hyper::client::conn::http1::SendRequest<Body>),
    Http2(hyper::client::conn::http2::SendRequest<Body>),
}

impl Client {
    pub async fn http1(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        Self::Http1(sender)
    }

    pub async fn http2(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Got, hyper::Error> {
        let exchange = async {
            let response = match self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Self::Http2(sender) => sender.send_request(request).await?,
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            Ok(Got {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
                trailers,
            })
        };
        tokio::time::timeout(BOUND, exchange)
            .await
            .expect("a response within the bound")
    }

    pub async fn get(&mut self, host: &str, path: &str) -> Got {
        self.send(self.request(host, path).body(empty()).unwrap())
            .await
            .unwrap()
    }

    /// A request in the form that this connection wants.
    pub fn request(&self, host: &str, path: &str) -> Builder {
        match self {
            Self::Http1(_) => Request::builder().uri(path).header("host", host),
            Self::Http2(_) => Request::builder()
                .version(http::Version::HTTP_2)
                .uri(format!("http://{host}{path}")),
        }
    }
}

pub fn empty() -> Body {
    Full::new(Bytes::new()).boxed_unsync()
}

pub fn full(body: &'static str) -> Body {
    Full::new(Bytes::from_static(body.as_bytes())).boxed_unsync()
}

/// An instance of a service: where its proxy and its application listen.
pub struct Instance {
    pub pod: SocketAddr,
    pub app: SocketAddr,
    pub proxy: Proxy,
}

/// The service `shop/reviews:9080` with meshed instances, and a client's proxy in `web`.
pub struct Shop {
    pub mesh: Mesh,
    pub instances: Vec<Instance>,
    pub client: Proxy,
    pub protocol: Protocol,
}

/// How clients name the service.
pub const HOST: &str = "reviews.shop:9080";

impl Shop {
    /// `count` instances labelled `version: v1`, `v2` …; `change` may add routes and policy.
    pub async fn open(
        count: usize,
        protocol: Protocol,
        change: impl FnOnce(&mut ServicePort),
    ) -> Self {
        let mesh = Mesh::new();
        let places: Vec<_> = (0..count)
            .map(|_| {
                let pod = fresh_address();
                (pod, beside(pod))
            })
            .collect();
        let ports: Vec<_> = places
            .iter()
            .map(|(pod, _)| (pod.port(), protocol))
            .collect();
        mesh.inbound("shop", &ports, |_| {});
        mesh.inbound("web", &[], |_| {});
        let mut instances = Vec::new();
        for (pod, app) in places {
            let builder = mesh.proxy("shop", "reviews").inbound_bind(pod, app);
            let proxy = builder.workers(1).start().await;
            instances.push(Instance { pod, app, proxy });
        }
        let shop = Self {
            client: mesh.proxy("web", "frontend").workers(1).start().await,
            mesh,
            instances,
            protocol,
        };
        shop.publish(change);
        shop
    }

    /// Writes the service again.
    pub fn publish(&self, change: impl FnOnce(&mut ServicePort)) {
        let members: Vec<_> = self
            .instances
            .iter()
            .enumerate()
            .map(|(n, instance)| {
                Member::meshed(instance.pod, "reviews").label("version", &format!("v{}", n + 1))
            })
            .collect();
        self.mesh
            .service(("shop", "reviews"), 9080, self.protocol, &members, change);
    }

    pub async fn http1(&self) -> Client {
        Client::http1(self.client.outbound).await
    }

    pub async fn http2(&self) -> Client {
        Client::http2(self.client.outbound).await
    }
}

/// One backend of the service, by version.
pub fn version(version: &str, weight: u32) -> Backend {
    Backend {
        service: ServiceRef {
            namespace: "shop".to_owned(),
            name: "reviews".to_owned(),
            port: 9080,
        },
        weight,
        labels: if version.is_empty() {
            Default::default()
        } else {
            [("version".to_owned(), version.to_owned())].into()
        },
        invalid: false,
    }
}

/// A rule that forwards everything to the service.
pub fn rule() -> HttpRule {
    HttpRule {
        id: "shop/route/rule".to_owned(),
        hostnames: Vec::new(),
        matches: Vec::new(),
        request_headers: Default::default(),
        response_headers: Default::default(),
        rewrite: None,
        action: HttpAction::Forward(vec![version("", 1)]),
        timeouts: Default::default(),
        retry: None,
    }
}

/// Puts producer rules on a port.
pub fn routes(port: &mut ServicePort, rules: Vec<HttpRule>) {
    port.http = vec![RouteScope {
        client_namespace: None,
        rules,
    }];
}
