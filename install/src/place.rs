use serde_json::Value;

/// A field of one object: `spec.template.spec.containers[operator].image`. Items of a list are
/// found by their name, as server-side apply does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The object's kind.
    pub(crate) kind: &'static str,
    /// The object's name; no two of a kind share one.
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
}

impl Place {
    pub(crate) fn is_in(&self, object: &Value) -> bool {
        object["kind"] == self.kind && object["metadata"]["name"] == self.name
    }

    /// The field in the object, if it has it.
    pub(crate) fn find<'a>(&self, object: &'a mut Value) -> Option<&'a mut Value> {
        let mut at = object;
        for step in self.path.split('.') {
            let (field, item) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
                Some((field, item)) => (field, Some(item)),
                None => (step, None),
            };
            at = at.get_mut(field)?;
            if let Some(item) = item {
                let items = at.as_array_mut()?;
                at = items.iter_mut().find(|object| object["name"] == item)?;
            }
        }
        Some(at)
    }
}
