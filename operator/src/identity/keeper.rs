use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use weft_engine::identity::{SpiffeId, SpiffeIdError};

use super::{
    Account, Authority, AuthorityError, Identity, IdentityStore, StoreError, Verdict,
};
use crate::{backoff, lease::Leadership, metrics::Metrics};

/// Identities that are issued at the same time.
const CONCURRENCY: usize = 16;

/// The least time between two looks at one account, whatever its certificate says.
const SOONEST: Duration = Duration::from_millis(500);

/// A change of the set of accounts that are to have an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// An account that a meshed pod uses, or that exists in a meshed namespace.
    Joined(Account),
    /// An account that is neither any more.
    Left(Account),
    /// Every account that exists now has been named.
    Complete,
}

/// How identities are issued.
#[derive(Clone, Debug)]
pub struct KeeperSettings {
    /// The trust domain of every identity.
    pub trust_domain: String,
    /// How long a leaf lives.
    pub lifetime: Duration,
    /// How often each stored identity and the CA are looked at again, so that one that was
    /// deleted or replaced by hand is mended.
    pub recheck: Duration,
}

/// Keeps an identity issued for every account.
pub struct Keeper<S> {
    store: S,
    settings: Arc<KeeperSettings>,
    leadership: Leadership,
    metrics: Metrics,
    /// The CA in use, for whoever publishes its roots.
    authority: watch::Sender<Option<Arc<Authority>>>,
    authority_due: Instant,
    authority_failures: u32,
    accounts: HashMap<Account, State>,
    due: BTreeSet<(Instant, Account)>,
    tasks: JoinSet<Result<OffsetDateTime, IssueError>>,
    running: HashMap<Id, Account>,
    /// Whether what an earlier life left behind has been looked through.
    swept: bool,
    complete: bool,
}

#[derive(Default)]
struct State {
    due: Option<Instant>,
    busy: bool,
    /// Left while its identity was being written: to be removed after.
    leaving: bool,
    failures: u32,
}

/// Why an account has no identity now.
#[derive(Debug, thiserror::Error)]
enum IssueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the account cannot be named: {0}")]
    Name(#[from] SpiffeIdError),
}

impl<S: IdentityStore> Keeper<S> {
    /// A keeper over a store. The receiver sees the CA once it is loaded, and again when it is
    /// replaced.
    pub fn new(
        store: S,
        settings: KeeperSettings,
        leadership: Leadership,
        metrics: Metrics,
    ) -> (Self, watch::Receiver<Option<Arc<Authority>>>) {
        let (authority, receiver) = watch::channel(None);
        let keeper = Self {
            store,
            settings: Arc::new(settings),
            leadership,
            metrics,
            authority,
            authority_due: Instant::now(),
            authority_failures: 0,
            accounts: HashMap::new(),
            due: BTreeSet::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            swept: false,
            complete: false,
        };
        (keeper, receiver)
    }

    /// Runs until `stop` is cancelled or nobody names accounts any more; what is being written
    /// then is finished.
    pub async fn run(mut self, mut changes: mpsc::Receiver<AccountChange>, stop: CancellationToken) {
        let mut leading = self.leadership.holds();
        loop {
            if leading {
                self.keep_authority().await;
                self.sweep().await;
                self.start_due();
            }
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => break,
                change = changes.recv() => match change {
                    Some(change) => self.change(change),
                    None => break,
                },
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    match done {
                        Ok((task, result)) => self.done(task, result),
                        Err(error) => self.aborted(error.id()),
                    }
                }
                () = sleep_until(wake), if leading => {}
                () = self.leadership.changed() => {
                    leading = self.leadership.holds();
                    if leading {
                        self.take_over();
                    } else {
                        self.tasks.abort_all();
                    }
                }
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Everything that an earlier leader kept is looked at again.
    fn take_over(&mut self) {
        self.authority_due = Instant::now();
        self.swept = false;
        self.attend_all();
    }

    fn attend_all(&mut self) {
        let accounts: Vec<_> = self.accounts.keys().cloned().collect();
        for account in accounts {
            self.schedule(account, Instant::now());
        }
    }

    fn change(&mut self, change: AccountChange) {
        match change {
            AccountChange::Joined(account) => {
                let state = self.accounts.entry(account.clone()).or_default();
                state.leaving = false;
                if !state.busy {
                    self.schedule(account, Instant::now());
                }
            }
            AccountChange::Left(account) => {
                if let Some(state) = self.accounts.get_mut(&account) {
                    state.leaving = true;
                    state.failures = 0;
                    self.schedule(account, Instant::now());
                }
            }
            AccountChange::Complete => self.complete = true,
        }
        self.metrics.accounts.set(self.accounts.len() as i64);
    }

    fn schedule(&mut self, account: Account, at: Instant) {
        if let Some(state) = self.accounts.get_mut(&account) {
            if let Some(before) = state.due.replace(at) {
                self.due.remove(&(before, account.clone()));
            }
            self.due.insert((at, account));
        }
    }

    fn wake(&self) -> Instant {
        let next = match self.due.first() {
            // With every slot taken, the next end of a task is what wakes.
            Some((at, _)) if self.tasks.len() < CONCURRENCY && self.authority.borrow().is_some() => {
                *at
            }
            _ => self.authority_due,
        };
        next.min(self.authority_due)
    }

    /// Loads the CA, makes one where there is none, and takes a replaced one into use.
    async fn keep_authority(&mut self) {
        if Instant::now() < self.authority_due {
            return;
        }
        match self.load_authority().await {
            Ok(authority) => {
                self.authority_failures = 0;
                self.authority_due = Instant::now() + self.settings.recheck;
                self.metrics
                    .authority_expiry
                    .set(authority.not_after().unix_timestamp());
                let changed = self
                    .authority
                    .borrow()
                    .as_ref()
                    .is_none_or(|current| !current.same_as(&authority));
                if changed {
                    tracing::info!(ends = %authority.not_after(), "the CA is in use");
                    self.authority.send_replace(Some(Arc::new(authority)));
                    self.attend_all();
                }
            }
            Err(error) => {
                self.authority_failures += 1;
                self.authority_due = Instant::now() + backoff::after(self.authority_failures);
                tracing::error!(%error, "no CA: identities are not issued until it is mended");
            }
        }
    }

    async fn load_authority(&self) -> Result<Authority, IssueError> {
        let now = OffsetDateTime::now_utc();
        let trust_domain = &self.settings.trust_domain;
        if let Some(stored) = self.store.read_authority().await? {
            return Ok(Authority::load(&stored, trust_domain, now)?);
        }
        let made = Authority::generate(trust_domain, now)?;
        if self.store.create_authority(&made).await? {
            tracing::info!("made a new CA");
            return Ok(Authority::load(&made, trust_domain, now)?);
        }
        let stored = self.store.read_authority().await?.unwrap_or(made);
        Ok(Authority::load(&stored, trust_domain, now)?)
    }

    /// Removes identities of an earlier life whose accounts are gone.
    async fn sweep(&mut self) {
        if self.swept || !self.complete {
            return;
        }
        self.swept = true;
        match self.store.list().await {
            Ok(stored) => {
                for account in stored {
                    if !self.accounts.contains_key(&account) {
                        let state = self.accounts.entry(account.clone()).or_default();
                        state.leaving = true;
                        self.schedule(account, Instant::now());
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "old identities are not looked through"),
        }
    }

    fn start_due(&mut self) {
        let Some(authority) = self.authority.borrow().clone() else {
            return;
        };
        let now = Instant::now();
        while self.tasks.len() < CONCURRENCY {
            let Some((at, account)) = self.due.pop_first() else {
                return;
            };
            if at > now {
                self.due.insert((at, account));
                return;
            }
            let Some(state) = self.accounts.get_mut(&account) else {
                continue;
            };
            state.due = None;
            if state.busy {
                // Its task is running; it is looked at again when that ends.
                continue;
            }
            state.busy = true;
            let task = self.tasks.spawn(attend(
                self.store.clone(),
                authority.clone(),
                self.settings.clone(),
                self.metrics.clone(),
                account.clone(),
                state.leaving,
            ));
            self.running.insert(task.id(), account);
        }
    }

    fn done(&mut self, task: Id, result: Result<OffsetDateTime, IssueError>) {
        let Some(account) = self.running.remove(&task) else {
            return;
        };
        let Some(state) = self.accounts.get_mut(&account) else {
            return;
        };
        state.busy = false;
        let pause = match result {
            Ok(_) if state.leaving => {
                // It was removed, or it is now: a removal that finds nothing is cheap.
                if state.due.is_none() {
                    self.accounts.remove(&account);
                    self.metrics.accounts.set(self.accounts.len() as i64);
                    return;
                }
                Duration::ZERO
            }
            Ok(until) => {
                state.failures = 0;
                let left = (until - OffsetDateTime::now_utc()).max(time::Duration::ZERO);
                left.unsigned_abs()
                    .clamp(SOONEST, self.settings.recheck.max(SOONEST))
            }
            Err(error) => {
                state.failures += 1;
                self.metrics.identity_failures.inc();
                tracing::warn!(%account, %error, "no identity issued; it is tried again");
                backoff::after(state.failures)
            }
        };
        self.schedule(account, Instant::now() + pause);
    }

    fn aborted(&mut self, task: Id) {
        if let Some(account) = self.running.remove(&task)
            && let Some(state) = self.accounts.get_mut(&account)
        {
            state.busy = false;
        }
    }
}

/// Looks at one account's identity and brings it to what it is to be; says until when it is.
async fn attend<S: IdentityStore>(
    store: S,
    authority: Arc<Authority>,
    settings: Arc<KeeperSettings>,
    metrics: Metrics,
    account: Account,
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
        Some(Verdict::Keep { until }) => return Ok(until),
        Some(Verdict::Reissue(reason)) => reason,
        None => "it had none",
    };
    let identity = authority.issue(&id, settings.lifetime, OffsetDateTime::now_utc())?;
    store.write(&account, &identity).await?;
    metrics.identities_issued.inc();
    tracing::info!(%account, reason, "issued an identity");
    Ok(match judge(&identity) {
        Verdict::Keep { until } => until,
        Verdict::Reissue(_) => OffsetDateTime::now_utc(),
    })
}
