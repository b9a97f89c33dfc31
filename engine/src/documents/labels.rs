//! Labels, in the room that they need.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

/// A set of labels: what a subset asks for, or what an endpoint has. Few, read often, never
/// changed: a slice by key. Documents hold thousands of sets with one label each, and a map takes
/// half a kilobyte for the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// No label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| **known == *key);
        found.map(|(_, value)| &**value)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether all of these labels are among `others`.
    pub fn are_within(&self, others: &Self) -> bool {
        self.iter()
            .all(|(key, value)| others.get(key) == Some(value))
    }
}

impl<K: Into<String> + Ord, V: Into<String>> FromIterator<(K, V)> for Labels {
    /// Of a key that comes twice, the last value counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let by_key: BTreeMap<K, V> = pairs.into_iter().collect();
        let pairs = by_key.into_iter();
        Self(
            pairs
                .map(|(key, value)| (key.into().into(), value.into().into()))
                .collect(),
        )
    }
}

impl<K: Into<String> + Ord, V: Into<String>, const N: usize> From<[(K, V); N]> for Labels {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<&BTreeMap<String, String>> for Labels {
    fn from(labels: &BTreeMap<String, String>) -> Self {
        labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    match pairs.binary_search_by(|(known, _)| known.cmp(&key)) {
                        Ok(at) => pairs.splice(at..=at, [(key, value)]).for_each(drop),
                        Err(at) => pairs.insert(at, (key, value)),
                    }
                }
                Ok(Labels(pairs.into()))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn labels_are_a_map_of_json_by_key_and_the_last_of_a_key_counts() {
        let labels: Labels = serde_json::from_str(r#"{"b":"2","a":"0","b":"3","a":"1"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&labels).unwrap(),
            r#"{"a":"1","b":"3"}"#
        );
        assert_eq!(labels, Labels::from([("b", "3"), ("a", "1")]));
        assert_eq!((labels.get("b"), labels.get("c")), (Some("3"), None));
        assert!(Labels::default().is_empty());
    }

    #[test]
    fn a_subset_wants_all_of_its_labels() {
        let endpoint = Labels::from([("app", "web"), ("version", "v1")]);
        assert!(Labels::default().are_within(&endpoint));
        assert!(Labels::from([("version", "v1")]).are_within(&endpoint));
        assert!(!Labels::from([("version", "v2")]).are_within(&endpoint));
        assert!(!endpoint.are_within(&Labels::from([("app", "web")])));
    }
}
