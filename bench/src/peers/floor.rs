use std::process::Command;

use crate::{BenchError, hop::Hop, running::Core, tools::Tools};

/// `kind`: what the program calls it.
pub(crate) fn command(
    tools: &Tools,
    program: &str,
    kind: &str,
    hop: &Hop,
    core: Core,
) -> Result<Command, BenchError> {
    let mut command = core.pinned(&tools.released(program)?);
    command.arg(kind);
    command.args(["--listen", &hop.listen.to_string()]);
    for to in &hop.to {
        command.args(["--to", &to.to_string()]);
    }
    for (flag, folder) in [("--accept", &hop.accept), ("--connect", &hop.connect)] {
        if let Some(folder) = folder {
            command.arg(flag).arg(folder);
        }
    }
    Ok(command)
}
