//! What many documents have alike, kept once: policies are mostly those of the namespace or the
//! mesh, and endpoints of all services have the same few labels.

use std::collections::VecDeque;

/// Different ones that are remembered; those of one more are kept apart.
const KEPT: usize = 64;

/// Values that are cheap to clone, by what they say.
#[derive(Debug)]
pub(super) struct Alike<T>(VecDeque<T>);

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone + PartialEq> Alike<T> {
    /// The one that was there before, where it is equal.
    pub(super) fn one(&mut self, new: &T) -> T {
        if let Some(known) = self.0.iter().find(|known| *known == new) {
            return known.clone();
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(new.clone());
        new.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Alike, KEPT};

    #[test]
    fn equal_ones_are_kept_once_and_not_without_end() {
        let mut alike = Alike::default();
        let first = alike.one(&Arc::new(0));
        assert!(Arc::ptr_eq(&first, &alike.one(&Arc::new(0))));
        for other in 1..=KEPT {
            assert_eq!(*alike.one(&Arc::new(other)), other);
        }
        assert!(!Arc::ptr_eq(&first, &alike.one(&Arc::new(0))));
        assert_eq!(alike.0.len(), KEPT);
    }
}
