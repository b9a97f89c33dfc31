//! Processor time: of a process, of ended children, and of everything else on the machine.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::{
    sys::resource::{UsageWho, getrusage},
    time::{ClockId, clock_gettime},
};

/// User and system time of a process with all its threads, those that ended included; zero if
/// the process has ended. Resolution: a tick, 10 ms nearly everywhere.
pub fn of(pid: u32) -> Duration {
    // The name may contain anything; what follows its closing bracket is numbers.
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime and stime are fields 14 and 15 of proc(5); the state after the name is the third.
    let ticks = fields.split_whitespace().skip(11).take(2);
    duration(ticks.filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// The same, to the nanosecond.
pub fn exact(pid: u32) -> Duration {
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    let time = ClockId::pid_cpu_clock_id(pid).and_then(clock_gettime);
    time.map_or(Duration::ZERO, Duration::from)
}

/// Of children that ended and were waited for.
fn of_children() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let of = |value: nix::sys::time::TimeVal| {
            Duration::from_secs(value.tv_sec().unsigned_abs())
                + Duration::from_micros(value.tv_usec().unsigned_abs())
        };
        of(usage.user_time()) + of(usage.system_time())
    })
}

/// What the machine did in all: everything of the first line of /proc/stat but idling, waiting
/// for disks, and what guests are counted for twice. Time that a hypervisor took away counts.
fn of_machine() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal
    let busy = [0, 1, 2, 5, 6, 7];
    duration(busy.iter().filter_map(|index| fields.get(*index)).sum())
}

fn duration(ticks: u64) -> Duration {
    // USER_HZ is 100 on every architecture that Linux still has.
    Duration::from_millis(ticks * 10)
}

/// Cores of this machine, as this process had them when it asked first.
pub fn cores() -> usize {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// A measurement under way.
#[derive(Debug)]
pub struct Span {
    measured: Vec<u32>,
    known: Vec<u32>,
    at: Instant,
    used: Used,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
struct Used {
    measured: Duration,
    known: Duration,
    machine: Duration,
}

/// What was used.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// By the processes that are measured.
    pub measured: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// The share of the machine that others used, 0 to 1.
    pub foreign: f64,
}

impl Span {
    /// Begins. `measured` are the processes that count; `known` belong to the benchmark as well.
    pub fn begin(measured: &[u32], known: &[u32]) -> Self {
        let mut span = Self {
            measured: measured.to_vec(),
            known: known.to_vec(),
            at: Instant::now(),
            used: Used {
                measured: Duration::ZERO,
                known: Duration::ZERO,
                machine: Duration::ZERO,
            },
        };
        span.used = span.used();
        span
    }

    fn used(&self) -> Used {
        let all = |pids: &[u32]| pids.iter().map(|pid| of(*pid)).sum();
        Used {
            measured: all(&self.measured),
            known: all(&self.known) + of_children() + of(std::process::id()),
            machine: of_machine(),
        }
    }

    /// What has been used since.
    pub fn end(&self) -> Spent {
        let (now, elapsed) = (self.used(), self.at.elapsed());
        let measured = now.measured.saturating_sub(self.used.measured);
        let own = measured + now.known.saturating_sub(self.used.known);
        let others = now.machine.saturating_sub(self.used.machine);
        let others = others.saturating_sub(own).as_secs_f64();
        let all = elapsed.as_secs_f64() * cores() as f64;
        Spent {
            measured,
            elapsed,
            foreign: if all > 0.0 {
                (others / all).min(1.0)
            } else {
                0.0
            },
        }
    }
}

/// The share of the machine that others use now, over half a second.
pub fn foreign(known: &[u32]) -> f64 {
    let span = Span::begin(&[], known);
    std::thread::sleep(Duration::from_millis(500));
    span.end().foreign
}

#[cfg(test)]
mod tests;
