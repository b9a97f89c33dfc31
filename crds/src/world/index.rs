//! From a thing to the few that have to do with it.

use std::collections::BTreeMap;

/// Sets by key, none of them empty. Nearly all have one member: a sorted list holds that in a
/// tenth of the memory of a tree, whose smallest node has room for eleven.
pub(crate) type Index<K, V> = BTreeMap<K, Vec<V>>;

/// Adds to or takes from a set of an index.
pub(super) fn edit<K: Ord, V: Ord>(index: &mut Index<K, V>, key: K, value: V, present: bool) {
    if present {
        let values = index.entry(key).or_insert_with(|| Vec::with_capacity(1));
        if let Err(at) = values.binary_search(&value) {
            values.insert(at, value);
        }
    } else if let Some(values) = index.get_mut(&key) {
        if let Ok(at) = values.binary_search(&value) {
            values.remove(at);
        }
        if values.is_empty() {
            index.remove(&key);
        }
    }
}
