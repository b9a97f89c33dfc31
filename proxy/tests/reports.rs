//! What a proxy tells the operator, and to whom.

mod mesh;

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mesh::{Member, Mesh, TRUST_DOMAIN, eventually, fresh_address, peer};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use weft_engine::{
    documents::{Document, DocumentName, MeshDocument, Protocol, ReportTo},
    report::{Active, PATH, Report, Taken},
};

/// Stands where the operator does, and keeps what it is told.
struct Operator {
    heard: Arc<Mutex<Vec<Report>>>,
    /// What it answers next, once each; 200 when there is nothing.
    answers: Arc<Mutex<Vec<StatusCode>>>,
    task: JoinHandle<()>,
}

impl Operator {
    /// Listens at `address` with the identity of `directory`.
    async fn listen(address: SocketAddr, directory: &Path) -> Self {
        let identity = peer::load(directory);
        let acceptor = TlsAcceptor::from(identity.server_config());
        let listener = TcpListener::bind(address).await.unwrap();
        let (heard, answers) = (Arc::default(), Arc::default());
        let state = (Arc::clone(&heard), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), state.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(|request| take(state.clone(), request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            heard,
            answers,
            task,
        }
    }

    fn heard(&self) -> Vec<Report> {
        self.heard.lock().unwrap().clone()
    }

    async fn hears(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        eventually(what, || async {
            self.heard().into_iter().find(|r| wanted(r))
        })
        .await
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type State = (Arc<Mutex<Vec<Report>>>, Arc<Mutex<Vec<StatusCode>>>);

async fn take(
    (heard, answers): State,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), PATH);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let answer = answers.lock().unwrap().pop().unwrap_or(StatusCode::OK);
    let mut response = Response::new(Full::default());
    *response.status_mut() = answer;
    if answer == StatusCode::OK {
        heard
            .lock()
            .unwrap()
            .push(serde_json::from_slice(&body).unwrap());
        let taken = Taken {
            heartbeat_seconds: 1,
        };
        *response.body_mut() = Full::new(serde_json::to_vec(&taken).unwrap().into());
    }
    Ok(response)
}

fn leads(mesh: &Mesh, address: SocketAddr, account: &str) {
    mesh.publish(Document::Mesh(MeshDocument {
        trust_domain: TRUST_DOMAIN.to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        trust_bundle: mesh.authority.root_pem().to_owned(),
        report_to: Some(ReportTo {
            address,
            identity: format!("spiffe://{TRUST_DOMAIN}/ns/weft-system/sa/{account}")
                .parse()
                .unwrap(),
        }),
        ..MeshDocument::default()
    }));
}

/// An operator that the mesh's document names.
async fn led(mesh: &Mesh) -> Operator {
    mesh.issue("weft-system", "weft-operator");
    let directory = mesh.identity_dir("weft-system", "weft-operator");
    let address = fresh_address();
    let operator = Operator::listen(address, &directory).await;
    leads(mesh, address, "weft-operator");
    operator
}

fn reviews() -> DocumentName {
    DocumentName::Service("shop".to_owned(), "reviews".to_owned())
}

/// Publishes the service; each number is another version.
fn publish(mesh: &Mesh, number: u64) {
    let members = [Member::plain(([127, 0, 0, 1], 9).into())];
    mesh.service(
        ("shop", "reviews"),
        9080,
        Protocol::Http,
        &members,
        |port| {
            port.policy.timeouts.request = number;
        },
    );
}

#[tokio::test]
async fn what_is_active_is_told_after_each_swap() {
    let mesh = Mesh::new();
    let operator = led(&mesh).await;
    publish(&mesh, 1_000);
    let bound = fresh_address();
    let _proxy = mesh
        .proxy("shop", "caller")
        .arg("--pod", "caller-0")
        .outbound_bind(bound, "shop/reviews:9080")
        .start()
        .await;

    let first = operator.hears("everything, at first", |_| true).await;
    assert_eq!((first.base, &*first.pod), (None, "caller-0"));
    assert!(first.active.contains_key(&DocumentName::Mesh), "{first:?}");

    // It is loaded with the first call.
    let _ = mesh::http_get(bound, "/").await;
    let loaded = operator
        .hears("the service", |r| r.active.contains_key(&reviews()))
        .await;
    let digest = loaded.active[&reviews()].digest.clone();

    // A swap, told against what was told before; a lost thread is answered with everything.
    operator.answers.lock().unwrap().push(StatusCode::CONFLICT);
    publish(&mesh, 2_000);
    let is_newer = |report: &Report| {
        let active = report.active.get(&reviews());
        active.is_some_and(|active| active.digest != digest)
    };
    let newer = operator.hears("the new version", is_newer).await;
    assert_eq!(newer.base, None, "everything after a conflict: {newer:?}");
    assert!(newer.active.contains_key(&DocumentName::Mesh), "{newer:?}");

    // One that is refused is told with the reason, beside the one that stays in use.
    mesh.publish_raw(&reviews(), "{\"apiVersion\": \"nonsense\"}");
    let refused = operator
        .hears("the refusal", |report| {
            let active = report.active.get(&reviews());
            active.is_some_and(|active| active.rejected.is_some())
        })
        .await;
    let digest = &newer.active[&reviews()].digest;
    assert_eq!(&refused.active[&reviews()].digest, digest);

    // With nothing new there is a heartbeat.
    operator
        .hears("a heartbeat", |report| {
            report.base.is_some() && report.active.is_empty() && report.gone.is_empty()
        })
        .await;
}

/// Nobody would learn of it otherwise: the proxy would count as one that does not need it.
#[tokio::test]
async fn a_document_that_is_refused_at_its_first_load_is_told_with_the_reason() {
    let mesh = Mesh::new();
    let operator = led(&mesh).await;
    mesh.publish_raw(&reviews(), "{\"apiVersion\": \"nonsense\"}");
    let bound = fresh_address();
    let proxy = mesh
        .proxy("shop", "caller")
        .arg("--pod", "caller-0")
        .outbound_bind(bound, "shop/reviews:9080")
        .start()
        .await;
    let _ = mesh::http_get(bound, "/").await;
    let refused = operator
        .hears("the refusal", |r| r.active.contains_key(&reviews()))
        .await;
    let active = &refused.active[&reviews()];
    assert_eq!(active.digest, Active::NOTHING);
    assert!(active.rejected.is_some(), "{active:?}");
    let config = proxy.admin("/config").await;
    let shown = &config["documents"]["service.shop.reviews"];
    assert!(shown["rejected"].is_string(), "{config}");

    publish(&mesh, 1_000);
    let is_good = |report: &Report| {
        let active = report.active.get(&reviews());
        active.is_some_and(|active| active.rejected.is_none() && active.digest != Active::NOTHING)
    };
    operator.hears("that it is mended", is_good).await;
}

#[tokio::test]
async fn a_new_leader_is_told_everything_and_who_is_not_the_operator_nothing() {
    let mesh = Mesh::new();
    mesh.issue("weft-system", "weft-operator");
    mesh.issue("weft-system", "impostor");
    let impostor_address = fresh_address();
    let impostor = Operator::listen(
        impostor_address,
        &mesh.identity_dir("weft-system", "impostor"),
    )
    .await;
    // The document names the operator's identity, whoever answers at the address.
    leads(&mesh, impostor_address, "weft-operator");
    let _proxy = mesh
        .proxy("shop", "caller")
        .arg("--pod", "caller-0")
        .start()
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(impostor.heard(), []);

    let directory = mesh.identity_dir("weft-system", "weft-operator");
    for _ in 0..2 {
        let address = fresh_address();
        let operator = Operator::listen(address, &directory).await;
        leads(&mesh, address, "weft-operator");
        let first = operator.hears("everything", |_| true).await;
        assert_eq!(first.base, None);
        // The next one takes over.
    }
    assert_eq!(impostor.heard(), []);
}

#[tokio::test]
async fn without_an_operator_traffic_goes_on_and_the_log_stays_quiet() {
    let mesh = Mesh::new();
    leads(&mesh, fresh_address(), "weft-operator");
    publish(&mesh, 0);
    let proxy = mesh
        .proxy("shop", "caller")
        .arg("--pod", "caller-0")
        .start()
        .await;
    for number in 1..200 {
        publish(&mesh, number);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = proxy.log();
    let about = lines
        .lines()
        .filter(|line| line.contains("operator") && !line.contains("\"DEBUG\""));
    let about: Vec<_> = about.collect();
    assert!(about.len() <= 1, "{about:#?}");
}
