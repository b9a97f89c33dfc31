//! One link between the machine and the node. The node routes nothing to the outside: what runs in
//! the cluster cannot reach the world.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Error,
    place::{MACHINE_ADDRESS, MACHINE_LINK, NODE_ADDRESS, NODE_LINK, SERVICE_RANGE},
};

/// Outside: makes the link, with its other end in the network of the cluster's first process. What
/// the holder starts is in the cluster's namespace of processes already, where that one is 1.
pub(super) fn link() -> Result<(), Error> {
    run(
        "ip",
        &[
            "link",
            "add",
            MACHINE_LINK,
            "type",
            "veth",
            "peer",
            "name",
            NODE_LINK,
            "netns",
            "1",
        ],
    )?;
    let address = format!("{MACHINE_ADDRESS}/30");
    run("ip", &["address", "add", &address, "dev", MACHINE_LINK])?;
    run("ip", &["link", "set", MACHINE_LINK, "up"])
}

/// Outside: removes the link, where the end of its namespace has not done so yet.
pub(super) fn unlink() {
    let _ = run("ip", &["link", "delete", MACHINE_LINK]);
}

/// Inside: waits for the link, and makes the node reachable and a router for its pods.
pub(super) fn settle(bound: Duration) -> Result<(), Error> {
    run("ip", &["link", "set", "lo", "up"])?;
    let address = format!("{NODE_ADDRESS}/30");
    let started = Instant::now();
    while let Err(error) = run("ip", &["address", "add", &address, "dev", NODE_LINK]) {
        if started.elapsed() > bound {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(20));
    }
    run("ip", &["link", "set", NODE_LINK, "up"])?;
    // The API server calls webhooks by the addresses of Services. kube-proxy's rules see a packet
    // only if there is a way to send it at all, and there is no default one.
    let from = NODE_ADDRESS.to_string();
    run(
        "ip",
        &[
            "route",
            "add",
            SERVICE_RANGE,
            "dev",
            NODE_LINK,
            "src",
            &from,
        ],
    )?;
    let forward = "/proc/sys/net/ipv4/ip_forward";
    fs::write(forward, "1").map_err(Error::files("cannot forward packets", forward))
}

/// Runs a command of the machine to its end.
pub(super) fn run(program: &str, args: &[&str]) -> Result<(), Error> {
    let failed = |status: String, output: String| Error::Command {
        command: format!("{program} {}", args.join(" ")),
        status,
        output,
    };
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed("not run".to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(
        output.status.to_string(),
        String::from_utf8_lossy(&said).trim().to_owned(),
    ))
}
