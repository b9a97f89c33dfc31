//! Where in which file a field stands.

mod node;

use std::{collections::BTreeMap, fs};

use weft_crds::manifests::Location;

use node::Node;

/// Finds the lines of fields, reading each file at most once.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    files: BTreeMap<String, String>,
}

impl Lines {
    /// The place of `field` (`spec.http[0].name`) in the document at `location`: of the field
    /// itself, or of the nearest one above it that is written down.
    pub(crate) fn of(&mut self, location: &Location, field: &str) -> Location {
        let text = self.files.entry(location.file.clone()).or_insert_with(|| {
            // Read once already; if it has gone since, the document's own line has to do.
            fs::read_to_string(&location.file).unwrap_or_default()
        });
        let document = document_at(text, location.line);
        let line = serde_saphyr::from_str::<Node>(&document)
            .map(|node| node.line_of(field))
            .unwrap_or(1);
        Location {
            file: location.file.clone(),
            line: location.line + line.saturating_sub(1),
        }
    }
}

impl Lines {
    /// The text of a line of a file that was looked at; empty where there is none.
    pub(crate) fn text(&self, place: &Location) -> String {
        let text = self.files.get(&place.file).map(String::as_str);
        let mut lines = text.unwrap_or_default().lines();
        let line = lines.nth(place.line.saturating_sub(1));
        line.unwrap_or_default().to_owned()
    }
}

/// The YAML document that begins at a line (from 1), up to the next divider.
fn document_at(text: &str, line: usize) -> String {
    let mut lines = text.split_inclusive('\n').skip(line.saturating_sub(1));
    let mut document = String::new();
    if let Some(first) = lines.next() {
        // A document may begin on the divider's own line, or after it.
        document.push_str(first.strip_prefix("---").unwrap_or(first));
    }
    document.extend(lines.take_while(|line| !line.starts_with("---")));
    document
}

#[cfg(test)]
mod tests;
