//! As much of a Kubernetes API server as the config feed asks for: list and watch of ConfigMaps
//! by name, over HTTP/2 and TLS, with resource versions, 410 and outages.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

use super::authority::Issued;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a watch is told.
#[derive(Clone, Debug)]
enum News {
    Object(String, Value),
    /// Every open watch hears that its resource version is too old.
    Expired,
    /// Every open watch ends, as after its time-out.
    Ended,
}

#[derive(Debug)]
struct State {
    objects: Mutex<BTreeMap<String, Value>>,
    /// Everything that happened, by version: name and event.
    history: Mutex<Vec<(u64, String, Value)>>,
    version: AtomicU64,
    /// Watches from before this version get 410.
    oldest: AtomicU64,
    news: broadcast::Sender<News>,
    is_down: AtomicBool,
    lists: AtomicU64,
    watches: AtomicU64,
    token: Mutex<String>,
}

/// A running server; ends with the test's runtime.
pub struct ApiServer {
    pub address: SocketAddr,
    state: Arc<State>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl ApiServer {
    /// Listens at `address` with a certificate for it; asks for the bearer token `token`.
    pub async fn start(address: SocketAddr, issued: &Issued, token: &str) -> Self {
        let state = Arc::new(State {
            objects: Mutex::default(),
            history: Mutex::default(),
            version: AtomicU64::new(1),
            oldest: AtomicU64::new(0),
            news: broadcast::Sender::new(1024),
            is_down: AtomicBool::new(false),
            lists: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            token: Mutex::new(token.to_owned()),
        });
        let acceptor = acceptor(issued);
        let listener = TcpListener::bind(address).await.unwrap();
        let connections: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let (accepting, open) = (state.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if accepting.is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let (acceptor, state) = (acceptor.clone(), accepting.clone());
                let connection = tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(state.clone(), request));
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
                open.lock().unwrap().push(connection.abort_handle());
            }
        });
        Self {
            address,
            state,
            connections,
        }
    }

    /// Creates or replaces the ConfigMap of a document.
    pub fn put(&self, name: &str, document: &str) {
        let version = self.state.version.fetch_add(1, Ordering::SeqCst) + 1;
        let object = json!({
            "metadata": {"name": name, "resourceVersion": version.to_string()},
            "data": {"document": document},
        });
        let mut objects = self.state.objects.lock().unwrap();
        let before = objects.insert(name.to_owned(), object.clone());
        let kind = before.map_or("ADDED", |_| "MODIFIED");
        self.happened(version, name, kind, object);
    }

    pub fn delete(&self, name: &str) {
        let version = self.state.version.fetch_add(1, Ordering::SeqCst) + 1;
        let mut objects = self.state.objects.lock().unwrap();
        if let Some(mut object) = objects.remove(name) {
            object["metadata"]["resourceVersion"] = version.to_string().into();
            self.happened(version, name, "DELETED", object);
        }
    }

    fn happened(&self, version: u64, name: &str, kind: &str, object: Value) {
        let event = json!({"type": kind, "object": object});
        // Under one lock, so that a watch that begins now gets it exactly once.
        let mut history = self.state.history.lock().unwrap();
        history.push((version, name.to_owned(), event.clone()));
        let _ = self.state.news.send(News::Object(name.to_owned(), event));
    }

    /// Ends every watch; those that come back with an old version get 410.
    pub fn expire(&self) {
        let version = self.state.version.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.oldest.store(version, Ordering::SeqCst);
        let _ = self.state.news.send(News::Expired);
    }

    /// Ends every watch in an orderly manner.
    pub fn end_watches(&self) {
        let _ = self.state.news.send(News::Ended);
    }

    /// Cuts every connection and takes no new one, or takes them again.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
        if is_down {
            for connection in self.connections.lock().unwrap().drain(..) {
                connection.abort();
            }
        }
    }

    /// From now on asks for another token.
    pub fn set_token(&self, token: &str) {
        *self.state.token.lock().unwrap() = token.to_owned();
    }

    pub fn lists(&self) -> u64 {
        self.state.lists.load(Ordering::SeqCst)
    }

    pub fn watches(&self) -> u64 {
        self.state.watches.load(Ordering::SeqCst)
    }

    /// Connections that were made.
    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

fn acceptor(issued: &Issued) -> TlsAcceptor {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn full(status: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

fn gone() -> Value {
    json!({"kind": "Status", "code": 410, "message": "too old resource version"})
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let token = format!("Bearer {}", state.token.lock().unwrap());
    let shown = request.headers().get("authorization");
    if shown.is_none_or(|shown| shown.as_bytes() != token.as_bytes()) {
        return Ok(full(401, &json!({"code": 401, "message": "Unauthorized"})));
    }
    assert_eq!(
        request.uri().path(),
        "/api/v1/namespaces/weft-config/configmaps"
    );
    let query: BTreeMap<&str, &str> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let name = query["fieldSelector"]
        .strip_prefix("metadata.name%3D")
        .expect("one document by name")
        .to_owned();
    if query.get("watch") != Some(&"true") {
        state.lists.fetch_add(1, Ordering::SeqCst);
        let objects = state.objects.lock().unwrap();
        let items: Vec<_> = objects.get(&name).into_iter().collect();
        let version = state.version.load(Ordering::SeqCst).to_string();
        return Ok(full(
            200,
            &json!({"metadata": {"resourceVersion": version}, "items": items}),
        ));
    }
    state.watches.fetch_add(1, Ordering::SeqCst);
    let from: u64 = query["resourceVersion"].parse().unwrap();
    if from < state.oldest.load(Ordering::SeqCst) {
        return Ok(full(410, &gone()));
    }
    // What changed between the list and this watch, then what comes.
    let (news, missed) = {
        let history = state.history.lock().unwrap();
        let missed: Vec<Value> = history
            .iter()
            .filter(|(version, of, _)| *version > from && *of == name)
            .map(|(_, _, event)| event.clone())
            .collect();
        (state.news.subscribe(), missed)
    };
    let later = futures::stream::unfold((news, name), |(mut news, name)| async move {
        loop {
            match news.recv().await.ok()? {
                News::Object(of, event) if of == name => return Some((event, (news, name))),
                News::Object(..) => {}
                News::Expired => {
                    return Some((json!({"type": "ERROR", "object": gone()}), (news, name)));
                }
                News::Ended => return None,
            }
        }
    });
    let lines = futures::stream::iter(missed)
        .chain(later)
        .flat_map(|event| {
            // In two frames, as a large object comes.
            let mut line = event.to_string();
            line.push('\n');
            let rest = line.split_off(line.len() / 2);
            futures::stream::iter([line, rest])
        });
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from(line))));
    Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
}
