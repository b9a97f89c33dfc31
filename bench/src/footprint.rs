//! What the kernel says of a process, and of the machine.

use std::{fs, thread, time::Duration};

/// Memory of a process that is resident now, in KiB (`VmRSS`); 0 if it has ended.
pub fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most that was ever resident, in KiB (`VmHWM`); 0 if it has ended.
pub fn peak_kib(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}

/// The resident memory once it has stood still: four samples, 250 ms apart, within 1 %; after
/// ten seconds, whatever it is then.
pub fn settled_kib(pid: u32) -> u64 {
    let mut last = [0_u64; 4];
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(250));
        last.rotate_left(1);
        last[3] = resident_kib(pid);
        let (least, most) = (
            last.iter().min().copied().unwrap_or(0),
            last.iter().max().copied().unwrap_or(0),
        );
        if least > 0 && most - least <= most / 100 {
            break;
        }
    }
    last[3]
}

/// After which a proxy's memory is what it is without traffic. What it does every few seconds has
/// been done then, and what only its start or the load needed has been given back.
const REST: Duration = Duration::from_secs(6);

/// The resident memory of processes that have rested.
pub fn rested_kib(pids: &[u32]) -> u64 {
    thread::sleep(REST);
    pids.iter().copied().map(settled_kib).sum()
}

/// Processor, cores and memory, in one line.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        })
        .to_owned();
    let cores = crate::cpu::cores();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    format!("{model}, {cores} cores, {} GiB", kib >> 20)
}
