use std::sync::Arc;

use time::OffsetDateTime;
use weft_engine::identity::{SpiffeId, SpiffeIdError};

use super::{
    Account, Authority, AuthorityError, Identity, IdentityStore, KeeperSettings, StoreError,
    Verdict,
};
use crate::metrics::Metrics;

/// Why an account has no identity now.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the account cannot be named: {0}")]
    Name(#[from] SpiffeIdError),
}

/// Looks at one account's identity and brings it to what it is to be; says until when it is.
pub(super) async fn attend<S: IdentityStore>(
    store: S,
    authority: Arc<Authority>,
    settings: Arc<KeeperSettings>,
    metrics: Metrics,
    account: Account,
    owner: Option<String>,
    leaving: bool,
) -> Result<OffsetDateTime, IssueError> {
    if leaving {
        store.remove(&account).await?;
        tracing::info!(%account, "withdrew an identity");
        return Ok(OffsetDateTime::now_utc());
    }
    let id = SpiffeId::new(&settings.trust_domain, &account.namespace, &account.name)?;
    let stored = store.read(&account).await?;
    let judge = |identity: &Identity| {
        identity.judge(
            &authority,
            &id,
            settings.lifetime,
            OffsetDateTime::now_utc(),
        )
    };
    let reason = match stored.as_ref().map(judge) {
        Some(Verdict::Keep { until }) => {
            if let Some(mut identity) = stored.filter(|stored| stored.owner != owner) {
                identity.owner = owner;
                store.write(&account, &identity).await?;
                tracing::info!(%account, "an identity now goes with its ServiceAccount");
            }
            return Ok(until);
        }
        Some(Verdict::Reissue(reason)) => reason,
        None => "it had none",
    };
    let mut identity = authority.issue(&id, settings.lifetime, OffsetDateTime::now_utc())?;
    identity.owner = owner;
    store.write(&account, &identity).await?;
    metrics.identities_issued.inc();
    tracing::info!(%account, reason, "issued an identity");
    Ok(match judge(&identity) {
        Verdict::Keep { until } => until,
        Verdict::Reissue(_) => OffsetDateTime::now_utc(),
    })
}
