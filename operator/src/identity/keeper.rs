use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Account, Authority, IdentityStore,
    attend::{IssueError, attend},
    readers::Readers,
};
use crate::{backoff, lease::Leadership, metrics::Metrics};

/// Identities that are issued at the same time.
const CONCURRENCY: usize = 16;

/// The least time between two looks at one account, whatever its certificate says.
const SOONEST: Duration = Duration::from_millis(500);

/// The accounts that are to have an identity, with their ServiceAccounts' uids where there are
/// any; `None` while not every account is known yet.
pub type Wanted = Option<Arc<BTreeMap<Account, Option<String>>>>;

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

/// What a keeper tells.
#[derive(Clone, Debug)]
pub struct KeeperNews {
    /// The CA, once it is loaded, and again when it is replaced.
    pub authority: watch::Receiver<Option<Arc<Authority>>>,
    /// Whether every account that was wanted at first has its identity.
    pub settled: watch::Receiver<bool>,
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
    readers: Readers,
    accounts: HashMap<Account, State>,
    due: BTreeSet<(Instant, Account)>,
    tasks: JoinSet<Result<OffsetDateTime, IssueError>>,
    running: HashMap<Id, Account>,
    /// Whether what an earlier life left behind has been looked through.
    swept: bool,
    wanted: watch::Receiver<Wanted>,
    /// Whether every account that was wanted at first has its identity.
    settled: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    due: Option<Instant>,
    busy: bool,
    /// The uid of its ServiceAccount, with which its identity goes.
    owner: Option<String>,
    /// Its identity is to be removed.
    leaving: bool,
    /// Whether it was looked at, with success.
    attended: bool,
    failures: u32,
}

impl<S: IdentityStore> Keeper<S> {
    /// A keeper over a store.
    pub fn new(
        store: S,
        settings: KeeperSettings,
        wanted: watch::Receiver<Wanted>,
        leadership: Leadership,
        metrics: Metrics,
    ) -> (Self, KeeperNews) {
        let (authority, authority_news) = watch::channel(None);
        let (settled, settled_news) = watch::channel(false);
        let keeper = Self {
            store,
            settings: Arc::new(settings),
            leadership,
            metrics,
            authority,
            authority_due: Instant::now(),
            authority_failures: 0,
            readers: Readers::new(),
            accounts: HashMap::new(),
            due: BTreeSet::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            swept: false,
            wanted,
            settled,
        };
        let news = KeeperNews {
            authority: authority_news,
            settled: settled_news,
        };
        (keeper, news)
    }

    /// Runs until `stop` is cancelled; what is being written then is finished.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut leading = self.leadership.holds();
        loop {
            if leading {
                self.keep_authority().await;
                let wanted = self.wanted.borrow().clone();
                self.readers
                    .keep(&self.store, &wanted, self.settings.recheck)
                    .await;
                self.sweep().await;
                self.start_due();
            }
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.compare(),
                    Err(_) => break,
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
        self.readers.doubt();
        self.swept = false;
        self.attend_all();
    }

    fn attend_all(&mut self) {
        let accounts: Vec<_> = self.accounts.keys().cloned().collect();
        for account in accounts {
            self.schedule(account, Instant::now());
        }
    }

    /// Brings the accounts that are kept to those that are wanted.
    fn compare(&mut self) {
        let Some(wanted) = self.wanted.borrow_and_update().clone() else {
            return;
        };
        let now = Instant::now();
        for (account, owner) in wanted.iter() {
            let state = self.accounts.entry(account.clone()).or_default();
            let moved = state.owner != *owner;
            if state.leaving || moved || !state.attended && state.due.is_none() && !state.busy {
                state.leaving = false;
                state.owner.clone_from(owner);
                self.schedule(account.clone(), now);
            }
        }
        let left: Vec<_> = self
            .accounts
            .iter()
            .filter(|(account, state)| !state.leaving && !wanted.contains_key(*account))
            .map(|(account, _)| account.clone())
            .collect();
        for account in left {
            self.leave(account);
        }
        self.settle();
    }

    fn leave(&mut self, account: Account) {
        let state = self.accounts.entry(account.clone()).or_default();
        state.leaving = true;
        state.attended = false;
        state.failures = 0;
        self.schedule(account, Instant::now());
    }

    fn settle(&mut self) {
        self.metrics.accounts.set(self.accounts.len() as i64);
        if !*self.settled.borrow()
            && self.authority.borrow().is_some()
            && self.wanted.borrow().is_some()
            && self.accounts.values().all(|state| state.attended)
        {
            self.settled.send_replace(true);
        }
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
            Some((at, _))
                if self.tasks.len() < CONCURRENCY && self.authority.borrow().is_some() =>
            {
                *at
            }
            _ => self.authority_due,
        };
        let next = next.min(self.authority_due);
        // Before the accounts are known there is nobody to admit.
        match *self.wanted.borrow() {
            Some(_) => next.min(self.readers.due()),
            None => next,
        }
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
        if self.swept || self.wanted.borrow().is_none() {
            return;
        }
        self.compare();
        self.swept = true;
        match self.store.list().await {
            Ok(stored) => {
                for account in stored {
                    if !self.accounts.contains_key(&account) {
                        self.leave(account);
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
            if state.busy {
                // Looked at again when its task ends; `due` stays as the note of that.
                continue;
            }
            state.due = None;
            state.busy = true;
            let task = self.tasks.spawn(attend(
                self.store.clone(),
                authority.clone(),
                self.settings.clone(),
                self.metrics.clone(),
                account.clone(),
                state.owner.clone().filter(|_| S::OWNED),
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
            // It came back while its identity was being removed, or left while it was issued.
            Ok(_) if state.due.is_some() => Duration::ZERO,
            Ok(_) if state.leaving => {
                self.accounts.remove(&account);
                self.settle();
                return;
            }
            Ok(until) => {
                state.failures = 0;
                state.attended = true;
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
        self.settle();
    }

    fn aborted(&mut self, task: Id) {
        if let Some(account) = self.running.remove(&task)
            && let Some(state) = self.accounts.get_mut(&account)
        {
            state.busy = false;
        }
    }
}
