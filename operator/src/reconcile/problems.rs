use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_crds::Key;
use weft_engine::problem::Problem;

/// What is wrong, by where it was found; places without a problem take no room.
#[derive(Debug, Default)]
pub(super) struct Problems {
    by_key: HashMap<Key, Vec<Problem>>,
    by_file: BTreeMap<String, Vec<Problem>>,
    unreadable: HashMap<String, Problem>,
}

impl Problems {
    /// What lowering a key found. Gives back whose problems came, went or stayed.
    pub(super) fn found(&mut self, key: &Key, problems: Vec<Problem>) -> BTreeSet<String> {
        let before = if problems.is_empty() {
            self.by_key.remove(key)
        } else {
            self.by_key.insert(key.clone(), problems.clone())
        };
        concerned(before.unwrap_or_default().into_iter().chain(problems))
    }

    /// What reading a file found. Gives back whether that is news, and whose problems came, went
    /// or stayed.
    pub(super) fn in_file(
        &mut self,
        file: &str,
        problems: Vec<Problem>,
    ) -> (bool, BTreeSet<String>) {
        let before = if problems.is_empty() {
            self.by_file.remove(file)
        } else {
            self.by_file.insert(file.to_owned(), problems.clone())
        };
        let before = before.unwrap_or_default();
        (
            before != problems,
            concerned(before.into_iter().chain(problems)),
        )
    }

    /// An object cannot be read (`None`: it can).
    pub(super) fn unreadable(&mut self, object: &str, problem: Option<Problem>) {
        match problem {
            Some(problem) => {
                self.unreadable.insert(object.to_owned(), problem);
            }
            None => {
                self.unreadable.remove(object);
            }
        }
    }

    /// What is wrong with an object, as far as these keys, the files and the reader know.
    pub(super) fn of<'a>(
        &'a self,
        object: &'a str,
        keys: impl Iterator<Item = &'a Key>,
    ) -> impl Iterator<Item = &'a Problem> {
        keys.filter_map(|key| self.by_key.get(key))
            .chain(self.by_file.values())
            .flatten()
            .chain(self.unreadable.get(object))
            .filter(move |problem| problem.object == object)
    }

    /// What is wrong with a file.
    pub(super) fn of_file(&self, file: &str) -> &[Problem] {
        self.by_file
            .get(file)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// All of them, each once.
    pub(super) fn all(&self) -> BTreeSet<&Problem> {
        self.by_key
            .values()
            .chain(self.by_file.values())
            .flatten()
            .chain(self.unreadable.values())
            .collect()
    }
}

fn concerned(problems: impl Iterator<Item = Problem>) -> BTreeSet<String> {
    problems.map(|problem| problem.object).collect()
}
