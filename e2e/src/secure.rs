//! One request over TLS, by a client that trusts one certificate.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request for an `https` URL to whoever its host resolves to. The certificate must be
/// valid for the `Host` header where there is one, else for the URL's host, under `root` (PEM).
///
/// # Errors
/// What failed: the address, the handshake, the exchange.
pub async fn send(
    mut request: Request<Full<Bytes>>,
    root: &str,
) -> Result<Response<Incoming>, AnyError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or("the URL names no host")?.to_owned();
    let name = match request.headers().get(HOST) {
        Some(name) => name.to_str()?.to_owned(),
        None => host.clone(),
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    let server = ServerName::try_from(name.clone())?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    request.headers_mut().insert(HOST, name.parse()?);
    Ok(sender.send_request(request).await?)
}
