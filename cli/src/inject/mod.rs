//! What the webhook would make of manifests, offline: for clusters where it may not run, and for
//! whoever wants to see the proxy in a diff.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use serde_json::Value;
use weft_inject::{Outcome as Injected, Settings, inject_manifest};

use crate::{
    command::Inject,
    exit::{Failure, Outcome},
    output::Format,
};

#[cfg(test)]
mod tests;

/// Prints the manifests with the proxy in every one that makes pods. What is left alone, and why,
/// is said on standard error.
pub(crate) fn run(arguments: &Inject) -> Result<(String, Outcome), Failure> {
    let settings = Settings {
        image: arguments.image.clone(),
        image_pull_policy: arguments.image_pull_policy.clone(),
        config_namespace: arguments.config_namespace.clone(),
    };
    let text = read(&arguments.filename)?;
    let (manifests, notes) = inject(&text, &settings)
        .map_err(|why| Failure::Argument(format!("{}: {why}", arguments.filename.display())))?;
    for note in notes {
        // Nobody reads it: the manifests are the work.
        let _ = writeln!(io::stderr().lock(), "weft: {note}");
    }
    if arguments.output == Format::Json
        && let Some(text) = Format::Json.serialise(&manifests)?
    {
        return Ok((text, Outcome::Clean));
    }
    let mut text = String::new();
    for manifest in &manifests {
        text.push_str("---\n");
        text.push_str(
            &serde_saphyr::to_string(manifest).map_err(|error| Failure::Format {
                format: "yaml",
                message: error.to_string(),
            })?,
        );
    }
    Ok((text, Outcome::Clean))
}

/// The manifests, and what is to be said about them.
fn inject(text: &str, settings: &Settings) -> Result<(Vec<Value>, Vec<String>), String> {
    let mut manifests: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    manifests.retain(|manifest| !manifest.is_null());
    let mut notes = Vec::new();
    for manifest in &mut manifests {
        let items = match manifest.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.as_mut_slice(),
            None => std::slice::from_mut(manifest),
        };
        for object in items {
            let name = name_of(object);
            match inject_manifest(object, settings) {
                Ok(None | Some(Injected::Patched(_))) => {}
                Ok(Some(Injected::Left(reason))) => {
                    notes.push(format!("{name} is left alone: {}", reason.as_str()));
                }
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
    }
    Ok((manifests, notes))
}

fn name_of(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| Failure::Argument(format!("{}: {error}", path.display())))
}
