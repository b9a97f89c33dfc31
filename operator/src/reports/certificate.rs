use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_engine::{identity::SpiffeId, report::ALPN};

use crate::{
    backoff,
    identity::{Account, Authority, AuthorityError},
};

/// How long the certificate lives. It is never stored, so a short life costs nothing.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("what was issued is not readable: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    #[error("what was issued cannot be served: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the trusted roots cannot be used: {0}")]
    Roots(#[from] rustls::server::VerifierBuilderError),
}

/// Keeps `config` issued by the CA of the moment. Without a CA (only who leads has one) nobody is
/// let in.
pub(super) async fn keep(
    mut authority: watch::Receiver<Option<Arc<Authority>>>,
    id: SpiffeId,
    config: Arc<ArcSwapOption<ServerConfig>>,
    stop: CancellationToken,
) {
    let mut failures = 0;
    loop {
        let current = authority.borrow_and_update().clone();
        let pause = match current.as_deref().map(|authority| build(authority, &id)) {
            None => LIFETIME,
            Some(Ok(built)) => {
                failures = 0;
                config.store(Some(Arc::new(built)));
                // A CA near its end issues for less than the whole lifetime.
                let left = current.map(|ca| ca.not_after() - OffsetDateTime::now_utc());
                let left = left.unwrap_or_default().max(time::Duration::ZERO);
                (LIFETIME.min(left.unsigned_abs()) * 2 / 3).max(Duration::from_secs(1))
            }
            Some(Err(error)) => {
                failures += 1;
                tracing::error!(%error, "reports of proxies cannot be served; it is tried again");
                backoff::after(failures)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            changed = authority.changed() => if changed.is_err() {
                stop.cancelled().await;
                return;
            }
        }
    }
}

fn build(authority: &Authority, id: &SpiffeId) -> Result<ServerConfig, CertificateError> {
    let issued = authority.issue(id, LIFETIME, OffsetDateTime::now_utc())?;
    let chain =
        CertificateDer::pem_slice_iter(issued.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority.bundle().as_bytes()) {
        roots.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.as_bytes().to_vec()];
    // Every connection proves its identity anew: reports are few, and a certificate's end counts.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The workload that a verified certificate names, if it is one of this trust domain.
pub(super) fn account(chain: Option<&[CertificateDer<'_>]>, trust_domain: &str) -> Option<Account> {
    let leaf = webpki::EndEntityCert::try_from(chain?.first()?).ok()?;
    let mut names = leaf.valid_uri_names();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let id: SpiffeId = name.parse().ok()?;
    (id.trust_domain() == trust_domain).then(|| Account {
        namespace: id.namespace().to_owned(),
        name: id.service_account().to_owned(),
    })
}
