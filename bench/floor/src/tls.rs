//! rustls with aws-lc-rs, TLS 1.3, as a mesh would set it up.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::FloorError;

/// The name in the certificates of a benchmark.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("server.bench")
        .unwrap_or(ServerName::IpAddress(Ipv4Addr::LOCALHOST.into()))
}

/// The listening side. With a `ca.crt`, callers need a certificate of that CA.
pub(crate) fn acceptor(folder: &Path) -> Result<TlsAcceptor, FloorError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?;
    let builder = if folder.join("ca.crt").exists() {
        let roots = Arc::new(roots(folder)?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| FloorError::File(folder.join("ca.crt"), error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = own(folder)?;
    Ok(Arc::new(builder.with_single_cert(chain, key)?).into())
}

/// The calling side. With a `tls.crt` it shows that.
pub(crate) fn connector(folder: &Path) -> Result<TlsConnector, FloorError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(folder)?);
    let config = if folder.join("tls.crt").exists() {
        let (chain, key) = own(folder)?;
        builder.with_client_auth_cert(chain, key)?
    } else {
        builder.with_no_client_auth()
    };
    Ok(Arc::new(config).into())
}

fn roots(folder: &Path) -> Result<RootCertStore, FloorError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(folder, "ca.crt")? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn own(
    folder: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), FloorError> {
    let path = folder.join("tls.key");
    let key = PrivateKeyDer::from_pem_file(&path)
        .map_err(|error| FloorError::File(path, error.to_string()))?;
    Ok((certificates(folder, "tls.crt")?, key))
}

fn certificates(folder: &Path, name: &str) -> Result<Vec<CertificateDer<'static>>, FloorError> {
    let path = folder.join(name);
    CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect)
        .map_err(|error| FloorError::File(path, error.to_string()))
}
