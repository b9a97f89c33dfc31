//! A YAML document reduced to its shape and the line of every node.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

/// A node and its children, each with its line.
#[derive(Debug, Default)]
pub(super) struct Node {
    fields: BTreeMap<String, (usize, Node)>,
    items: Vec<(usize, Node)>,
    text: Option<String>,
}

impl Node {
    /// The line (from 1) of the deepest node on the way to `field`.
    pub(super) fn line_of(&self, field: &str) -> usize {
        let mut node = self;
        let mut line = 1;
        for step in steps(field) {
            let next = match step {
                Step::Item(index) => node.items.get(index),
                Step::Field(name) => node.fields.get(name),
                Step::Named(name) => node
                    .items
                    .iter()
                    .find(|(_, item)| item.is_named(name))
                    .or_else(|| node.fields.get(name)),
            };
            let Some((at, child)) = next else { break };
            line = *at;
            node = child;
        }
        line
    }

    fn is_named(&self, name: &str) -> bool {
        self.fields
            .get("name")
            .is_some_and(|(_, own)| own.text.as_deref() == Some(name))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step<'f> {
    Field(&'f str),
    Item(usize),
    /// In brackets: a list's item by its `name`, or a map's key.
    Named(&'f str),
}

/// Takes `spec.http[0].set["x.y"]` or `spec.rules[reads]` apart. A key in brackets may hold dots.
fn steps(field: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((index, after)) = inner.split_once(']') else {
                break;
            };
            steps.push(match index.parse() {
                Ok(index) => Step::Item(index),
                Err(_) => Step::Named(index.trim_matches('"')),
            });
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                break;
            }
            steps.push(Step::Field(name));
            rest = after;
        }
    }
    steps
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        // The key's line is where a reader looks for the field; a block value begins below it.
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let line = line_of(&key);
            node.fields
                .insert(key.value, (line, map.next_value::<Node>()?));
        }
        Ok(node)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            let line = line_of(&item);
            node.items.push((line, item.value));
        }
        Ok(node)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node {
            text: Some(text.to_owned()),
            ..Node::default()
        })
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::default())
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> usize {
    usize::try_from(spanned.referenced.line()).unwrap_or(1)
}
