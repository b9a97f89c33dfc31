//! `weft-proxy capture`: redirects the pod's connections to the proxy, once, before anything
//! else of the pod runs. It speaks nf_tables' netlink itself, so that the image needs no other
//! program; the rules are shown in nft's syntax.

/// The command line.
mod arguments;

/// The rules, as a value.
mod ruleset;

/// What a rule tests and does.
mod rule;

/// The rules, as the kernel takes them.
mod message;

/// The conversation with the kernel.
mod netlink;

#[cfg(test)]
mod tests;

pub use arguments::{Arguments, Ports};
pub use netlink::CaptureError;
pub use ruleset::Ruleset;
pub(crate) use ruleset::SELF_CALL;

/// Puts the rules in force, in place of any that an earlier run left: all of them or none.
///
/// # Errors
/// Where the kernel refuses; nothing changed then.
pub fn run(arguments: &Arguments) -> Result<(), CaptureError> {
    let [ipv4, ipv6] = Ruleset::of(arguments);
    if arguments.print {
        println!("{ipv4}\n{ipv6}");
        return Ok(());
    }
    netlink::commit(&ipv4)?;
    match netlink::commit(&ipv6) {
        // A kernel without IPv6 has nothing to refuse.
        Err(error) if error.is_unsupported() => {
            tracing::info!("the kernel has no IPv6; nothing to close there");
        }
        other => other?,
    }
    tracing::info!(rules = %ipv4, "the pod's connections are captured");
    Ok(())
}
