//! What the board says: how far documents have come.

use std::collections::{BTreeMap, HashMap, HashSet};

use weft_crds::{
    Key,
    status::{Laggard, NAMED, Reach},
};

use super::{Board, Page, ProxyName, Version};
use crate::{metrics::ProxyState, publish::span};

impl Board {
    /// How many proxies have what was published for these keys until `since`, or anything newer,
    /// of those that have loaded any version of it.
    pub fn reach<'k>(&self, keys: impl Iterator<Item = &'k Key>, since: u64) -> Reach {
        let mut all: HashSet<&ProxyName> = HashSet::new();
        let mut behind: BTreeMap<&ProxyName, Option<&str>> = BTreeMap::new();
        for key in keys {
            let (first, last) = span(key);
            for (_, page) in self.documents.range(first..=last) {
                let Some(newest) = page.versions.back() else {
                    continue;
                };
                let enough = page.enough(since);
                for (proxy, held) in &page.holders {
                    all.insert(proxy);
                    let has = held.digest == newest.digest
                        || enough.clone().any(|version| version.digest == held.digest);
                    if !has {
                        let refuses = behind.entry(proxy).or_default();
                        *refuses = refuses.or(held.refuses.as_deref());
                    }
                }
            }
        }
        // Who refuses is named first: the others come by themselves.
        let mut waiting: Vec<_> = behind.iter().collect();
        waiting.sort_by_key(|(_, refuses)| refuses.is_none());
        Reach {
            active: all.len() - behind.len(),
            total: all.len(),
            waiting: waiting
                .into_iter()
                .take(NAMED)
                .map(|(proxy, refuses)| Laggard {
                    proxy: proxy.to_string(),
                    refuses: refuses.map(str::to_owned),
                })
                .collect(),
        }
    }

    /// Sets the gauges; `expected` pods have a proxy.
    pub fn count(&self, expected: usize) {
        let mut behind: HashMap<&ProxyName, bool> = HashMap::new();
        for page in self.documents.values() {
            let Some(newest) = page.versions.back() else {
                continue;
            };
            let late = page.holders.iter();
            for (proxy, held) in late.filter(|(_, held)| held.digest != newest.digest) {
                *behind.entry(proxy).or_default() |= held.refuses.is_some();
            }
        }
        let refusing = behind.values().filter(|refuses| **refuses).count();
        for (state, count) in [
            ("current", self.proxies.len() - behind.len()),
            ("behind", behind.len() - refusing),
            ("refusing", refusing),
            ("silent", expected.saturating_sub(self.proxies.len())),
        ] {
            let gauge = self.metrics.proxies.get_or_create(&ProxyState { state });
            gauge.set(count as i64);
        }
    }
}

impl Page {
    /// The versions that carry what was published until `since`: the last of then, and all since.
    fn enough(&self, since: u64) -> impl Iterator<Item = &Version> + Clone {
        let then = self
            .versions
            .iter()
            .rposition(|version| version.number <= since);
        self.versions.iter().skip(then.unwrap_or(0))
    }
}
