use std::{collections::BTreeSet, fs, path::Path};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Operator,
    Proxy,
    /// Every account of every cluster has these.
    Anyone,
}

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    pub(super) group: String,
    /// With its subresource: `pods/log`.
    pub(super) resource: String,
    /// Of one object; empty: of any.
    pub(super) name: String,
    pub(super) verb: String,
}

/// The table under "Rights" in docs/security.md.
pub(super) struct Table {
    rows: Vec<(Who, String, Right)>,
}

impl Table {
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
        let text = fs::read_to_string(path).unwrap();
        let mut rows = Vec::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [who, place, resources, names, verbs] = cells[..] else {
                continue;
            };
            let who = match who {
                "operator" => Who::Operator,
                "proxy" => Who::Proxy,
                "any account" => Who::Anyone,
                _ => continue,
            };
            for resource in list(resources) {
                let (whole, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let (resource, group) = whole.split_once('.').unwrap_or((whole, ""));
                let resource = match subresource {
                    "" => resource.to_owned(),
                    subresource => format!("{resource}/{subresource}"),
                };
                let names = match list(names) {
                    names if names.is_empty() => vec![""],
                    names => names,
                };
                for name in names {
                    for verb in list(verbs) {
                        let right = Right {
                            group: group.to_owned(),
                            resource: resource.clone(),
                            name: name.to_owned(),
                            verb: verb.to_owned(),
                        };
                        rows.push((who, place.trim_matches('`').to_owned(), right));
                    }
                }
            }
        }
        assert!(
            rows.len() > 30,
            "only {} rights in docs/security.md",
            rows.len()
        );
        Self { rows }
    }

    /// What somebody may do in a namespace; in the empty one, what in all of them and outside.
    pub(super) fn rights(&self, who: Who, namespace: &str, meshed: bool) -> BTreeSet<Right> {
        let here = |place: &str| match place {
            "the cluster" => true,
            "each namespace of the mesh" => meshed,
            place => place == namespace,
        };
        self.rows
            .iter()
            .filter(|(whose, place, _)| (*whose == who || *whose == Who::Anyone) && here(place))
            .map(|(_, _, right)| right.clone())
            .collect()
    }
}

fn list(cell: &str) -> Vec<&str> {
    cell.split(',')
        .map(|entry| entry.trim().trim_matches('`'))
        .filter(|entry| !entry.is_empty())
        .collect()
}
