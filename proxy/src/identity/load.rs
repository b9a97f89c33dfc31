//! Certificate, key and trust bundle, as the kubelet lays out a Secret volume.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc, sync::Mutex};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use weft_engine::identity::SpiffeId;

use super::{
    Identity, MeshAlpn, peer,
    verify::{ExpectedPeer, WorkloadVerifier},
};

/// Why an identity directory cannot be used. No variant holds key material.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is missing or unreadable.
    #[error(
        "{file} in the identity directory cannot be read: {error}; the Secret weft-identity-<service account> must be mounted there with tls.crt, tls.key and ca.crt"
    )]
    Read {
        /// The file.
        file: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A file is not PEM of the right kind.
    #[error("{file} in the identity directory is not usable PEM: {reason}")]
    Pem {
        /// The file.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key are not a pair, or TLS refuses them.
    #[error(
        "tls.crt and tls.key cannot be used together: {0}; the operator issues them as a pair, look whether the volume was changed by hand"
    )]
    Pair(rustls::Error),
    /// The certificate names no workload.
    #[error("tls.crt: {0}")]
    Certificate(#[from] peer::PeerError),
    /// The certificate names another workload.
    #[error(
        "tls.crt is the certificate of {found}, this proxy runs as {namespace}/{service_account}; the wrong Secret is mounted"
    )]
    Owner {
        /// Whom it names.
        found: SpiffeId,
        /// Our namespace.
        namespace: String,
        /// Our service account.
        service_account: String,
    },
    /// The trust bundle cannot be used.
    #[error("ca.crt: {0}")]
    Bundle(String),
}

/// The three files' contents.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    bundle: Vec<u8>,
}

impl Files {
    /// Reads them. The kubelet swaps the `..data` link between two reads at worst, which gives
    /// a pair that does not match: the load fails and the next event reads again.
    pub(super) fn read(directory: &Path) -> Result<Self, IdentityError> {
        let read = |file: &'static str| {
            fs::read(directory.join(file)).map_err(|error| IdentityError::Read { file, error })
        };
        Ok(Self {
            certificate: read("tls.crt")?,
            key: read("tls.key")?,
            bundle: read("ca.crt")?,
        })
    }
}

fn certificates(
    file: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Pem {
            file,
            reason: error.to_string(),
        })?;
    if chain.is_empty() {
        return Err(IdentityError::Pem {
            file,
            reason: "it holds no certificate".to_owned(),
        });
    }
    Ok(chain)
}

impl Identity {
    /// Builds everything that the files give. `namespace` and `service_account` are whom the
    /// certificate must name; an empty one is not compared.
    pub(super) fn build(
        files: &Files,
        namespace: &str,
        service_account: &str,
        generation: u64,
    ) -> Result<Self, IdentityError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates("tls.crt", &files.certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(&files.key).map_err(|error| IdentityError::Pem {
                file: "tls.key",
                reason: error.to_string(),
            })?;
        let (id, _, not_after) = peer::peer_validity(&chain)?;
        let other = |ours: &str, theirs: &str| !ours.is_empty() && ours != theirs;
        if other(namespace, id.namespace()) || other(service_account, id.service_account()) {
            return Err(IdentityError::Owner {
                found: id,
                namespace: namespace.to_owned(),
                service_account: service_account.to_owned(),
            });
        }
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(IdentityError::Pair)?;
        let certified = Arc::new(SingleCertAndKey::from(certified));
        let mut roots = RootCertStore::empty();
        for root in certificates("ca.crt", &files.bundle)? {
            roots
                .add(root)
                .map_err(|error| IdentityError::Bundle(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let server = server_config(&provider, &roots, &certified, id.trust_domain())?;
        Ok(Self {
            id: Arc::new(id),
            not_after,
            generation,
            server: Arc::new(server),
            roots,
            provider,
            certified,
            clients: Mutex::new(HashMap::new()),
        })
    }

    pub(super) fn build_client(&self, expected: Arc<SpiffeId>, alpn: MeshAlpn) -> ClientConfig {
        let verifier = ExpectedPeer {
            roots: self.roots.clone(),
            provider: self.provider.clone(),
            expected,
        };
        let mut config = tls13_client(self.provider.clone())
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.certified.clone());
        let offered = alpn.offered().iter();
        config.alpn_protocols = offered.map(|alpn| alpn.as_bytes().to_vec()).collect();
        // The name means nothing here; sending it would only tell an onlooker.
        config.enable_sni = false;
        // This configuration is for one peer of one generation, so a resumed session proves
        // the same identity under the same trust.
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }

    /// The server name to hand to the TLS connector; it is not sent and not compared.
    pub fn server_name() -> ServerName<'static> {
        ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
    }
}

fn tls13_client(
    provider: Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    match ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]) {
        Ok(builder) => builder,
        // The provider has TLS 1.3 suites, so this is not reached; the default versions of
        // the same provider contain TLS 1.3 as well.
        Err(_) => ClientConfig::builder(),
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certified: &Arc<SingleCertAndKey>,
    trust_domain: &str,
) -> Result<ServerConfig, IdentityError> {
    let chain = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| IdentityError::Bundle(error.to_string()))?;
    let verifier = WorkloadVerifier {
        chain,
        trust_domain: trust_domain.to_owned(),
    };
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(IdentityError::Pair)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certified.clone());
    config.alpn_protocols = MeshAlpn::ALL
        .iter()
        .map(|alpn| alpn.as_bytes().to_vec())
        .collect();
    // Fresh ticket keys per generation: a ticket does not outlive the trust it was given under.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(IdentityError::Pair)?;
    config.send_tls13_tickets = 1;
    Ok(config)
}
