use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff,
    identity::{Authority, AuthorityError, Identity, IdentityStore, StoreError},
};

/// How often the CA is looked at: one that was replaced must have issued what is served.
const RECHECK: Duration = Duration::from_secs(30);

/// The certificate in use. Each replica issues its own: the key never leaves the process.
#[derive(Clone, Default)]
pub struct Serving(Arc<ArcSwapOption<CertifiedKey>>);

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving { .. }")
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("what was issued is not readable: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    #[error("what was issued cannot be served: {0}")]
    Tls(#[from] rustls::Error),
}

/// Keeps `serving` issued by the CA in `store` for these names, each certificate for `lifetime`
/// (it is never stored, so a short one costs nothing), and tells its roots.
pub async fn keep<S: IdentityStore>(
    store: S,
    trust_domain: String,
    names: Vec<String>,
    lifetime: Duration,
    serving: Serving,
    bundle: watch::Sender<Option<Arc<str>>>,
    stop: CancellationToken,
) {
    let mut current: Option<(Authority, Instant)> = None;
    let mut failures = 0;
    loop {
        let issue = Issue {
            trust_domain: &trust_domain,
            names: &names,
            lifetime,
        };
        let pause = match look(&store, &issue, &serving, &mut current).await {
            Ok(true) => {
                failures = 0;
                let roots = current.as_ref().map(|(authority, _)| authority.bundle());
                bundle.send_if_modified(|told| {
                    let changed = told.as_deref() != roots;
                    if changed {
                        *told = roots.map(Arc::from);
                    }
                    changed
                });
                RECHECK.min(lifetime / 12)
            }
            // The leader makes it in a moment.
            Ok(false) => Duration::from_millis(500),
            Err(error) => {
                failures += 1;
                tracing::error!(%error, "the webhooks' certificate is not renewed; it is tried again");
                backoff::after(failures)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What is issued.
struct Issue<'a> {
    trust_domain: &'a str,
    names: &'a [String],
    lifetime: Duration,
}

/// Issues where there is none, the CA is another one, or two thirds of the life are over. `false`:
/// there is no CA yet.
async fn look<S: IdentityStore>(
    store: &S,
    issue: &Issue<'_>,
    serving: &Serving,
    current: &mut Option<(Authority, Instant)>,
) -> Result<bool, CertificateError> {
    let now = OffsetDateTime::now_utc();
    let Some(stored) = store.read_authority().await? else {
        return Ok(false);
    };
    let authority = Authority::load(&stored, issue.trust_domain, now)?;
    if let Some((issued_by, due)) = current
        && issued_by.same_as(&authority)
        && Instant::now() < *due
    {
        return Ok(true);
    }
    let issued = authority.issue_serving(issue.names, issue.lifetime, now)?;
    serving.0.store(Some(Arc::new(certified(&issued)?)));
    tracing::info!(
        names = issue.names.join(" "),
        "issued the webhooks' certificate"
    );
    // A CA near its end issues for less than the whole lifetime.
    let left = (authority.not_after() - now).max(time::Duration::ZERO);
    let lifetime = issue.lifetime.min(left.unsigned_abs());
    *current = Some((authority, Instant::now() + lifetime * 2 / 3));
    Ok(true)
}

fn certified(identity: &Identity) -> Result<CertifiedKey, CertificateError> {
    let chain =
        CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(CertifiedKey::from_der(chain, key, &provider)?)
}
