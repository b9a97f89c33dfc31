//! An application that answers every kind of probe, well or not.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{Router, http::StatusCode, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic_prost::ProstCodec;

/// Where it listens; what is absent is not served.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Addresses {
    /// `GET /healthz` over HTTP
    #[arg(long)]
    pub http: Option<SocketAddr>,
    /// `GET /healthz` over TLS, with a certificate that nobody trusts
    #[arg(long)]
    pub https: Option<SocketAddr>,
    /// `grpc.health.v1.Health/Check`
    #[arg(long)]
    pub grpc: Option<SocketAddr>,
}

/// Serves until the process ends. `well`: what it says of itself.
///
/// # Errors
/// Where an address cannot be listened on.
pub async fn serve(addresses: &Addresses, well: bool) -> std::io::Result<()> {
    let other = std::io::Error::other::<Box<dyn std::error::Error + Send + Sync>>;
    if let Some(address) = addresses.http {
        let listener = TcpListener::bind(address).await?;
        tokio::spawn(async move { axum::serve(listener, health(well)).await });
    }
    if let Some(address) = addresses.grpc {
        let listener = TcpListener::bind(address).await?;
        let check = move |request| check(request, well);
        let router =
            Router::new().route("/grpc.health.v1.Health/Check", axum::routing::post(check));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    if let Some(address) = addresses.https {
        let listener = TcpListener::bind(address).await?;
        let acceptor = acceptor().map_err(other)?;
        tokio::spawn(tls(listener, acceptor, health(well)));
    }
    Ok(())
}

fn health(well: bool) -> Router {
    let answer = if well {
        (StatusCode::OK, "well\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unwell\n")
    };
    Router::new().route("/healthz", get(async move || answer))
}

/// `grpc.health.v1.HealthCheckRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct CheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`: 1 is SERVING, 2 NOT_SERVING.
#[derive(Clone, PartialEq, prost::Message)]
struct CheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

async fn check(
    request: axum::extract::Request,
    well: bool,
) -> axum::response::Response<tonic::body::Body> {
    let service = tower::service_fn(move |_: tonic::Request<CheckRequest>| async move {
        let status = if well { 1 } else { 2 };
        Ok::<_, Status>(tonic::Response::new(CheckResponse { status }))
    });
    let codec = ProstCodec::<CheckResponse, CheckRequest>::default();
    tonic::server::Grpc::new(codec)
        .unary(service, request)
        .await
}

fn acceptor() -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let issued = rcgen::generate_simple_self_signed(["nobody.example".to_owned()])?;
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn tls(listener: TcpListener, acceptor: TlsAcceptor, router: Router) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            // The client's fault, and visible to the client.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = TowerToHyperService::new(router);
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
