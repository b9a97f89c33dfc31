//! What the mesh is in a cluster: printed, for kubectl to apply or delete.

use std::fs;

use serde_json::Value;
use weft_install::{SETTINGS, Values};

use crate::{
    command::{Install, Uninstall},
    exit::{Failure, Outcome},
    output::Format,
};

/// Prints the objects to apply.
pub(crate) fn install(arguments: &Install) -> Result<(String, Outcome), Failure> {
    let mut values = Values::defaults()?;
    for file in &arguments.values {
        let failed = |why: String| Failure::Argument(format!("{}: {why}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        values
            .overlay(&text)
            .map_err(|error| failed(error.to_string()))?;
    }
    if arguments.gateway {
        values.set("gateway.enabled", "true")?;
    }
    for (key, value) in &arguments.set {
        values.set(key, value)?;
    }
    print(&weft_install::install(&values)?, arguments.output)
}

/// Prints the objects to delete.
pub(crate) fn uninstall(arguments: &Uninstall) -> Result<(String, Outcome), Failure> {
    print(&weft_install::uninstall(arguments.all)?, arguments.output)
}

/// Every setting with its default, for `--help`.
pub(crate) fn settings() -> String {
    let mut text = "Values, with their defaults:\n".to_owned();
    for setting in SETTINGS {
        let default = setting.default().unwrap_or_default();
        let default = default
            .as_str()
            .map_or_else(|| default.to_string(), str::to_owned);
        text.push_str(&format!(
            "  {}={default}\n      {}\n",
            setting.key, setting.about
        ));
    }
    text.push_str(
        "\nExamples:\n  \
         weft install | kubectl apply --server-side -f -\n  \
         weft install --set trustDomain=example.org --gateway | kubectl apply --server-side -f -",
    );
    text
}

fn print(objects: &[Value], format: Format) -> Result<(String, Outcome), Failure> {
    if format == Format::Json {
        // kubectl takes a list where it takes a stream.
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        if let Some(text) = Format::Json.serialise(&list)? {
            return Ok((text, Outcome::Clean));
        }
    }
    Ok((weft_install::to_yaml(objects)?, Outcome::Clean))
}
