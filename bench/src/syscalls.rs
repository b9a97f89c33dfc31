//! System calls of a request, counted by perf while a set-up is under saturating load.

use std::{fs, process::Command, thread, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    BenchError,
    hop::Peer,
    instructions::SUBJECTS,
    running::{Core, Running},
    saturate::saturate,
    scenario::Scenario,
    stage::Stage,
};

/// By subject, as instructions are; empty where the machine does not let perf count.
pub fn measure(stage: &Stage) -> Result<Vec<(&'static str, f64)>, BenchError> {
    let mut seen = Vec::new();
    for (name, scenario, peer) in SUBJECTS {
        if stage.tools.lacks(peer) {
            continue;
        }
        match per_request(stage, scenario, peer)? {
            Some(count) => {
                eprintln!("{name}: {count:.2} system calls per request");
                seen.push((name, count));
            }
            None => {
                eprintln!("perf counts no system calls here: they are left out");
                break;
            }
        }
    }
    Ok(seen)
}

fn per_request(stage: &Stage, scenario: Scenario, peer: Peer) -> Result<Option<f64>, BenchError> {
    let Ok(perf) = stage.tools.system("perf") else {
        return Ok(None);
    };
    let deployment = stage.deploy(scenario, peer, Core::Measured, &|_, command| command)?;
    saturate(stage, scenario, &deployment, 64, 1)?;
    let counted = deployment.room.join("perf.csv");
    let pids: Vec<String> = deployment.pids().iter().map(u32::to_string).collect();
    let mut command: Command = Core::Others.pinned(&perf);
    command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter"]);
    command
        .args(["-p", &pids.join(",")])
        .arg("-o")
        .arg(&counted);
    let mut perf = Running::start("perf", command, deployment.room.join("perf.log"))?;
    // It says nothing when it has begun. What is missed, or seen beside the load, is a few calls
    // of hundreds of thousands.
    thread::sleep(Duration::from_millis(500));
    let sent = saturate(stage, scenario, &deployment, 64, 2)?;
    // It tells its counts when it is interrupted.
    let pid = i32::try_from(perf.pid()).unwrap_or_default();
    if pid > 0 {
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    }
    let ended = perf.until_ended(Duration::from_secs(10));
    perf.stop(Duration::from_secs(1));
    let text = fs::read_to_string(&counted).unwrap_or_default();
    let calls = text.lines().find_map(|line| {
        let (count, _) = line.split_once(',')?;
        count.parse::<u64>().ok().filter(|_| ended)
    });
    Ok(calls.map(|calls| calls as f64 / sent.requests as f64))
}
