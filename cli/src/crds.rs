use weft_crds::definitions::{definitions, to_yaml};

use crate::{
    command::Crds,
    exit::{Failure, Outcome},
    output::Format,
};

/// The definitions as they stand in `config/crd`, one YAML document each.
pub(crate) fn run(arguments: &Crds) -> Result<(String, Outcome), Failure> {
    let definitions = definitions();
    if arguments.output == Format::Json
        && let Some(text) = Format::Json.serialise(&definitions)?
    {
        return Ok((text, Outcome::Clean));
    }
    let mut text = String::new();
    for definition in &definitions {
        text.push_str("---\n");
        text.push_str(&to_yaml(definition).map_err(|error| Failure::Format {
            format: "yaml",
            message: error.to_string(),
        })?);
    }
    Ok((text, Outcome::Clean))
}
