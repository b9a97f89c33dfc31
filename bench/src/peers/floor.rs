use std::process::Command;

use crate::{BenchError, hop::Hop, running::Core, tools::Tools};

/// `kind`: what weft-floor calls it.
pub(crate) fn command(
    tools: &Tools,
    kind: &str,
    hop: &Hop,
    core: Core,
) -> Result<Command, BenchError> {
    let mut command = core.pinned(&tools.released("weft-floor")?);
    arguments(&mut command, kind, hop);
    Ok(command)
}

/// The arguments alone, for a command that runs the floor under another program.
pub(crate) fn arguments(command: &mut Command, kind: &str, hop: &Hop) {
    command.arg(kind);
    command.args(["--listen", &hop.listen.to_string()]);
    command.args(["--to", &hop.to.to_string()]);
    if let Some(folder) = &hop.accept {
        command.arg("--accept").arg(folder);
    }
    if let Some(folder) = &hop.connect {
        command.arg("--connect").arg(folder);
    }
}
