/// How far documents have come.
mod reach;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use weft_engine::{
    documents::DocumentName,
    report::{Active, Report},
};

use super::{HEARTBEAT, MISSED};
use crate::metrics::Metrics;

/// Versions of a document that are told apart. A proxy that is further behind is behind.
const VERSIONS: usize = 8;

/// Documents that proxies say they have and that are not known to be published: one that was
/// withdrawn, or whose publishing is under way.
const UNPUBLISHED: usize = 4_096;

/// Pairs of proxy and document; some 100 bytes each.
const HELD: usize = 2_000_000;

/// The text of a refusal that is kept.
const REASON: usize = 300;

/// A document's content, as its digest says.
type Digest = u128;

/// `namespace/pod`.
type ProxyName = Arc<str>;

/// What every proxy has active, and what it should have.
pub struct Board {
    documents: BTreeMap<Arc<DocumentName>, Page>,
    proxies: HashMap<ProxyName, Proxy>,
    /// Grows with every version that is published.
    number: u64,
    held: usize,
    unpublished: usize,
    metrics: Metrics,
}

/// One document.
#[derive(Default)]
struct Page {
    /// What it held, oldest first; empty: it is not published.
    versions: VecDeque<Version>,
    holders: BTreeMap<ProxyName, Held>,
}

struct Version {
    digest: Digest,
    number: u64,
    published: Instant,
}

/// A document in a proxy.
struct Held {
    digest: Digest,
    refuses: Option<Box<str>>,
}

/// One proxy that reports.
struct Proxy {
    boot: String,
    sequence: u64,
    heard: Instant,
    /// How long it may be silent.
    patience: Duration,
    documents: BTreeSet<Arc<DocumentName>>,
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It builds on one that is not known: everything is to be told.
    Everything,
    /// Something in it means nothing.
    Malformed,
    /// More is held than this operator remembers.
    Full,
}

impl Board {
    /// Nobody has said anything.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            documents: BTreeMap::new(),
            proxies: HashMap::new(),
            number: 0,
            held: 0,
            unpublished: 0,
            metrics,
        }
    }

    /// The number of the newest version of any document.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many proxies report.
    pub fn proxies(&self) -> usize {
        self.proxies.len()
    }

    /// How often a proxy is to say something.
    pub fn heartbeat(&self) -> Duration {
        let thousands = u32::try_from(self.proxies.len() / 1000).unwrap_or(u32::MAX);
        HEARTBEAT * thousands.clamp(1, 20)
    }

    /// A document has this content now; `None`: it was withdrawn.
    pub fn published(&mut self, name: &DocumentName, digest: Option<&str>, now: Instant) {
        let Some(digest) = digest.and_then(read) else {
            if let Some(page) = self.documents.get_mut(name)
                && !page.versions.is_empty()
            {
                page.versions.clear();
                self.unpublished += 1;
                self.tidy(name);
            }
            return;
        };
        self.number += 1;
        if !self.documents.contains_key(name) {
            self.documents
                .insert(Arc::new(name.clone()), Page::default());
            self.unpublished += 1;
        }
        let Some(page) = self.documents.get_mut(name) else {
            return;
        };
        if page.versions.is_empty() {
            self.unpublished -= 1;
        }
        // Content that comes back is the newest again, whoever still has it.
        page.versions.retain(|version| version.digest != digest);
        if page.versions.len() >= VERSIONS {
            page.versions.pop_front();
        }
        page.versions.push_back(Version {
            digest,
            number: self.number,
            published: now,
        });
    }

    /// Takes what a proxy of `namespace` says; gives the documents that it says something new
    /// about.
    ///
    /// # Errors
    /// Where nothing of it was taken.
    pub fn take(
        &mut self,
        namespace: &str,
        report: Report,
        now: Instant,
    ) -> Result<Vec<Arc<DocumentName>>, Refusal> {
        let proxy: ProxyName = format!("{namespace}/{}", report.pod).into();
        if report.leaving {
            return Ok(self.forget(&proxy));
        }
        let known = self.proxies.get(&proxy);
        let continues =
            |known: &Proxy| known.boot == report.boot && report.base == Some(known.sequence);
        if report.base.is_some() && !known.is_some_and(continues) {
            return Err(Refusal::Everything);
        }
        let mut active = Vec::with_capacity(report.active.len());
        for (name, document) in report.active {
            let digest = read(&document.digest).ok_or(Refusal::Malformed)?;
            // Nobody else reads a namespace's own.
            let own = match &name {
                DocumentName::Inbound(of) => of == namespace,
                _ => true,
            };
            if own {
                active.push((name, digest, document));
            }
        }
        if self.held + active.len() > HELD {
            return Err(Refusal::Full);
        }
        let mut changed = Vec::new();
        let gone: Vec<_> = match report.base {
            Some(_) => report.gone.into_iter().collect(),
            None => {
                let said: HashSet<_> = active.iter().map(|(name, ..)| name).collect();
                let before = known.map(|known| &known.documents);
                let before = before.into_iter().flatten().map(|name| &**name);
                before
                    .filter(|name| !said.contains(name))
                    .cloned()
                    .collect()
            }
        };
        let heartbeat = self.heartbeat();
        let entry = self.proxies.entry(proxy.clone());
        let entry = entry.or_insert_with(|| Proxy {
            boot: String::new(),
            sequence: 0,
            heard: now,
            patience: Duration::ZERO,
            documents: BTreeSet::new(),
        });
        entry.boot = report.boot;
        entry.sequence = report.sequence;
        entry.heard = now;
        entry.patience = heartbeat * MISSED;
        for name in gone {
            if let Some(name) = self.drop_document(&proxy, &name) {
                changed.push(name);
            }
        }
        for (name, digest, document) in active {
            if let Some(name) = self.hold(&proxy, name, digest, document, now) {
                changed.push(name);
            }
        }
        Ok(changed)
    }

    fn hold(
        &mut self,
        proxy: &ProxyName,
        name: DocumentName,
        digest: Digest,
        document: Active,
        now: Instant,
    ) -> Option<Arc<DocumentName>> {
        let name = match self.documents.get_key_value(&name) {
            Some((name, _)) => name.clone(),
            None if self.unpublished >= UNPUBLISHED => return None,
            None => {
                let name = Arc::new(name);
                self.documents.insert(name.clone(), Page::default());
                self.unpublished += 1;
                name
            }
        };
        let page = self.documents.get_mut(&name)?;
        let refuses = document.rejected.map(|why| {
            why.chars()
                .filter(|c| !c.is_control())
                .take(REASON)
                .collect()
        });
        let held = Held { digest, refuses };
        let before = page.holders.insert(proxy.clone(), held);
        let newest = page
            .versions
            .back()
            .filter(|newest| newest.digest == digest);
        match before {
            None => {
                self.held += 1;
                if let Some(known) = self.proxies.get_mut(proxy) {
                    known.documents.insert(name.clone());
                }
            }
            // A first load is no measure of how fast changes arrive, and endpoints are told late.
            Some(before) if before.digest != digest && !name.is_told_late() => {
                if let Some(newest) = newest {
                    let lag = now.saturating_duration_since(newest.published);
                    self.metrics.activation_seconds.observe(lag.as_secs_f64());
                }
            }
            Some(_) => {}
        }
        Some(name)
    }

    fn drop_document(
        &mut self,
        proxy: &ProxyName,
        name: &DocumentName,
    ) -> Option<Arc<DocumentName>> {
        let known = self.proxies.get_mut(proxy)?;
        let name = known.documents.take(name)?;
        self.let_go(proxy, &name);
        Some(name)
    }

    fn let_go(&mut self, proxy: &ProxyName, name: &DocumentName) {
        if let Some(page) = self.documents.get_mut(name)
            && page.holders.remove(proxy).is_some()
        {
            self.held -= 1;
        }
        self.tidy(name);
    }

    /// Forgets a document that is neither published nor held.
    fn tidy(&mut self, name: &DocumentName) {
        let idle = |page: &Page| page.versions.is_empty() && page.holders.is_empty();
        if self.documents.get(name).is_some_and(idle) {
            self.documents.remove(name);
            self.unpublished -= 1;
        }
    }

    /// A proxy, `namespace/pod`, is not counted any more; gives the documents that it had.
    pub fn forget(&mut self, proxy: &str) -> Vec<Arc<DocumentName>> {
        let Some((proxy, known)) = self.proxies.remove_entry(proxy) else {
            return Vec::new();
        };
        for name in &known.documents {
            self.let_go(&proxy, name);
        }
        known.documents.into_iter().collect()
    }

    /// Forgets who has been silent for too long; gives the documents that they had.
    pub fn expire(&mut self, now: Instant) -> Vec<Arc<DocumentName>> {
        let silent: Vec<_> = self
            .proxies
            .iter()
            .filter(|(_, known)| now.saturating_duration_since(known.heard) > known.patience)
            .map(|(proxy, _)| proxy.clone())
            .collect();
        let mut changed = Vec::new();
        for proxy in silent {
            tracing::info!(%proxy, "a proxy is silent and no longer counted");
            changed.extend(self.forget(&proxy));
        }
        changed
    }
}

/// A digest as documents carry it: 128 bits in hex.
fn read(digest: &str) -> Option<Digest> {
    Digest::from_str_radix(digest, 16).ok()
}
