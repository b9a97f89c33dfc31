//! One copy of each set of labels. The pods of a Deployment have the same, and labels are most
//! of what is kept of a pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::facts::Labels;

#[derive(Clone, Debug, Default)]
pub(super) struct LabelStore {
    known: BTreeSet<Labels>,
    /// Sets that were asked for since the last sweep.
    asked: usize,
}

impl LabelStore {
    /// The shared copy.
    pub(super) fn share(&mut self, labels: BTreeMap<String, String>) -> Labels {
        self.asked += 1;
        // Sets that nothing uses any more go when there may be as many of them as of used ones.
        if self.asked > 1024 + 2 * self.known.len() {
            self.known.retain(|labels| Arc::strong_count(labels) > 1);
            self.asked = 0;
        }
        if let Some(shared) = self.known.get(&labels) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(labels);
        self.known.insert(Arc::clone(&shared));
        shared
    }
}
