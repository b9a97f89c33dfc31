//! What stands in a cluster, from one source: the manifests of `config/`.
//!
//! `kubectl apply -k config/` takes them as they are. `weft install` prints the same with the
//! settings of an installation in their places, and the Helm chart is generated with its values in
//! the same places. So there is one text of every object, and one list of what may be set.
//! Pure. In flow order:
// Indexing a `serde_json::Value` by name gives null where nothing stands; what is written to that
// way is the schema that is made here.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

/// The manifests of `config/`, as they stand there.
mod source;

/// Where in a manifest a value stands.
mod place;

/// What an installation may choose, and where each choice goes.
mod settings;

/// What an installation chose.
mod values;

/// From values to the objects to apply, and to those to delete.
mod render;

/// The Helm chart.
mod chart;

/// The chart's `values.yaml` and its schema.
mod chart_values;

pub use chart::chart;
pub use render::{install, to_yaml, uninstall};
pub use settings::{SETTINGS, Setting};
pub use values::Values;

/// Why there is nothing to apply.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No setting has this name.
    #[error("there is no setting `{key}`; there are: {known}")]
    Unknown {
        /// The name.
        key: String,
        /// All names.
        known: String,
    },
    /// A value that the setting cannot have.
    #[error("`{key}` cannot be {value}: {why}")]
    Value {
        /// The setting.
        key: String,
        /// What was given.
        value: String,
        /// What it takes instead.
        why: String,
    },
    /// Values that are no YAML.
    #[error("the values are not YAML: {0}")]
    Yaml(String),
    /// The manifests and the settings disagree: a mistake in Weft, which its tests look for.
    #[error("config/{path}: {why}; please report this")]
    Source {
        /// The file.
        path: &'static str,
        /// What is wrong.
        why: String,
    },
}

#[cfg(test)]
mod tests;
