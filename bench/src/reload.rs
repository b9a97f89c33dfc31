//! One of a thousand services changes ten times a second: what it costs the proxy, and what the
//! requests notice. Against Envoy that reads its routes from a file (RDS).

mod envoy;

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    BenchError, cpu,
    figures::Figures,
    footprint::rested_kib,
    load::paced,
    manifests::{self, Size},
    peers::weft::live,
    running::{Running, get},
    stage::Stage,
};

/// Services beside the one that changes.
const SERVICES: usize = 1000;

/// Who call them.
const CALLERS: usize = 16;

/// Between two changes.
const EVERY: Duration = Duration::from_millis(100);

/// What is measured of each.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    idle_kib: u64,
    loaded_kib: u64,
    /// CPU-milliseconds of a change.
    per_change: f64,
    latency: paced::Latency,
}

/// Measures both, and keeps what must be shown.
pub fn measure(stage: &Stage, seconds: u32, figures: &mut Figures) -> Result<(), BenchError> {
    let weft = of_weft(stage, seconds)?;
    let envoy = envoy::measure(stage, seconds)?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let mut put = |name: &str, value: f64, unit: &str| {
        println!("{name}: {value:.2} {unit}");
        figures.put_value(name, value, unit);
    };
    put("rss-1000-services", mib(weft.loaded_kib), "MiB");
    let grown = weft.loaded_kib.saturating_sub(weft.idle_kib) as f64;
    put("rss-per-service", grown / SERVICES as f64, "KiB");
    put("rss-1000-services-envoy", mib(envoy.loaded_kib), "MiB");
    put("reload-failed", weft.latency.failed as f64, "");
    put("reload-closed", weft.latency.closed as f64, "");
    put("reload-failed-envoy", envoy.latency.failed as f64, "");
    put("reload-cpu", weft.per_change, "ms");
    put("reload-cpu-of-envoy", envoy.per_change, "ms");
    put("reload-cpu-envoy", weft.per_change / envoy.per_change, "");
    put("reload-p99", weft.latency.p99, "µs");
    put("reload-p99-of-envoy", envoy.latency.p99, "µs");
    Ok(())
}

fn of_weft(stage: &Stage, seconds: u32) -> Result<Seen, BenchError> {
    let room = stage.room("reload-weft")?;
    let size = Size {
        services: SERVICES,
        endpoints: 5,
    };
    let manifests = room.join("manifests");
    fs::create_dir_all(&manifests).map_err(BenchError::file(&manifests))?;
    manifests::write(size, &manifests)?;
    let mesh = live::Live::start(&stage.tools, &stage.backend, &room)?;
    let proxy = &mesh.proxy;
    let idle_kib = rested_kib(&[proxy.pid()]);
    call_all(&mesh)?;
    let mut seen = Seen {
        idle_kib,
        loaded_kib: rested_kib(&[proxy.pid()]),
        ..Seen::default()
    };
    let applied = || mesh.counted("weft_config_reloads_total", "result=\"loaded\"");
    let mut edition = 0;
    let mut change = || {
        edition += 1;
        mesh.change(edition)
    };
    changes(stage, proxy, seconds, &mut change, &applied, &mut seen)?;
    under_load(&mesh.host, mesh.front, seconds, &mut change, &mut seen)?;
    Ok(seen)
}

/// Calls every service once. Nothing listens behind any: a proxy that knows one answers 503, after
/// it has tried again.
fn call_all(mesh: &live::Live) -> Result<(), BenchError> {
    let next = AtomicUsize::new(0);
    let strange = || {
        loop {
            let service = next.fetch_add(1, Ordering::Relaxed);
            if service >= SERVICES {
                return None;
            }
            let (name, namespace) = (manifests::name(service), manifests::namespace(service));
            match get(mesh.front, &format!("{name}.{namespace}"), "/") {
                Some((503, _)) => {}
                other => return Some(other.map(|(status, _)| status)),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(strange)).collect();
        for thread in threads {
            if let Ok(Some(status)) = thread.join() {
                let reason = format!("answers {status:?} for a known service");
                return Err(mesh.proxy.error(reason));
            }
        }
        Ok(())
    })
}

/// CPU of the changes, with nothing else to do.
fn changes(
    stage: &Stage,
    proxy: &Running,
    seconds: u32,
    change: &mut dyn FnMut() -> Result<(), BenchError>,
    applied: &dyn Fn() -> u64,
    seen: &mut Seen,
) -> Result<(), BenchError> {
    let before = applied();
    let idle = cpu::Span::begin(&[proxy.pid()], &stage.known());
    thread::sleep(Duration::from_secs(2));
    let idle = idle.end();
    let span = cpu::Span::begin(&[proxy.pid()], &stage.known());
    let count = ticks(seconds, change)?;
    // The last one is on its way for a moment.
    thread::sleep(Duration::from_millis(500));
    let spent = span.end();
    let arrived = applied().saturating_sub(before);
    // Two that follow each other closely may be taken in as one; what counts is the cost of one that
    // was taken in.
    if arrived < u64::from(count) / 2 {
        return Err(proxy.error(format!("took {arrived} of {count} changes in")));
    }
    let background = idle.measured.as_secs_f64() / idle.elapsed.as_secs_f64();
    let own = spent.measured.as_secs_f64() - background * spent.elapsed.as_secs_f64();
    // A tick is 10 ms: what is less than a tick in all is told as a tick.
    seen.per_change = own.max(0.01) * 1000.0 / arrived as f64;
    Ok(())
}

fn ticks(
    seconds: u32,
    change: &mut dyn FnMut() -> Result<(), BenchError>,
) -> Result<u32, BenchError> {
    let (start, count) = (Instant::now(), seconds * 10);
    for number in 1..=count {
        change()?;
        let next = start + EVERY * number;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(count)
}

/// What requests to the changing service itself notice.
fn under_load(
    host: &str,
    front: std::net::SocketAddr,
    seconds: u32,
    change: &mut dyn FnMut() -> Result<(), BenchError>,
    seen: &mut Seen,
) -> Result<(), BenchError> {
    let pace = paced::Pace {
        rate: 1000,
        connections: 16,
        time: Duration::from_secs(u64::from(seconds)),
    };
    thread::scope(|scope| {
        let load = scope.spawn(|| paced::send(front, host, pace));
        ticks(seconds, change)?;
        seen.latency = load
            .join()
            .map_err(|_| BenchError::Manifest("the load panicked".to_owned()))?;
        Ok(())
    })
}

/// Written beside it and moved there.
pub(crate) fn renamed(file: &Path, text: &str) -> Result<(), BenchError> {
    let next = file.with_extension("next");
    fs::write(&next, text).map_err(BenchError::file(&next))?;
    fs::rename(&next, file).map_err(BenchError::file(file))
}
