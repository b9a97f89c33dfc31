//! Where the API server is and how we show who we are.

use std::{env, fs, io, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};

use crate::bootstrap::Bootstrap;

/// Why the API server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// We do not know where it is.
    #[error(
        "no API server is known: run in a pod (KUBERNETES_SERVICE_HOST), or give --api-server https://host:port"
    )]
    Unknown,
    /// What was given is no address.
    #[error("--api-server `{0}` is not an address of the form https://host:port")]
    Address(String),
    /// The CA certificates cannot be used.
    #[error("the API server's CA certificates in {path} cannot be used: {reason}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The token cannot be read.
    #[error("the token in {path} cannot be read: {error}; is the service account's token mounted?")]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It cannot be reached.
    #[error("the API server cannot be reached: {0}")]
    Connect(String),
    /// It answers with an error.
    #[error(
        "the API server answers {status}: {message}; the proxy needs get, list and watch on configmaps of the config namespace"
    )]
    Status {
        /// The status code.
        status: u16,
        /// What it says.
        message: String,
    },
    /// A resource version is too old: list again.
    #[error("the resource version is too old")]
    Gone,
    /// What it says is not understood.
    #[error("the API server's answer is not understood: {0}")]
    Answer(String),
}

/// The API server.
#[derive(Clone, Debug)]
pub struct ApiServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
    token_file: PathBuf,
}

impl ApiServer {
    /// The one that the command line, or else the pod's environment, names.
    pub fn find(bootstrap: &Bootstrap) -> Result<Self, ApiError> {
        let (host, port) = match &bootstrap.api_server {
            Some(address) => parse(address)?,
            None => {
                let host = env::var("KUBERNETES_SERVICE_HOST").map_err(|_| ApiError::Unknown)?;
                let port = env::var("KUBERNETES_SERVICE_PORT_HTTPS")
                    .or_else(|_| env::var("KUBERNETES_SERVICE_PORT"))
                    .ok()
                    .and_then(|port| port.parse().ok());
                (host, port.unwrap_or(443))
            }
        };
        let name =
            ServerName::try_from(host.clone()).map_err(|_| ApiError::Address(host.clone()))?;
        Ok(Self {
            host,
            port,
            name,
            tls: Arc::new(tls(&bootstrap.api_ca_file)?),
            token_file: bootstrap.api_token_file.clone(),
        })
    }

    /// The bearer token, read anew: the kubelet rotates it.
    pub(super) fn token(&self) -> Result<String, ApiError> {
        let path = &self.token_file;
        match fs::read_to_string(path) {
            Ok(token) => Ok(token.trim().to_owned()),
            Err(error) => Err(ApiError::Token {
                path: path.clone(),
                error,
            }),
        }
    }

    /// Host and port for `:authority`.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn parse(address: &str) -> Result<(String, u16), ApiError> {
    let error = || ApiError::Address(address.to_owned());
    let uri: http::Uri = address.parse().map_err(|_| error())?;
    if uri.scheme_str() != Some("https") {
        return Err(error());
    }
    let host = uri.host().ok_or_else(error)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

fn tls(path: &PathBuf) -> Result<ClientConfig, ApiError> {
    let ca = |reason: String| ApiError::Ca {
        path: path.clone(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| ca(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| ca(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| ca(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(ca("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
