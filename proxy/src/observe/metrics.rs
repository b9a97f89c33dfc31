//! Metrics without a lock or a cache line that cores share: every thread records into its own
//! table, a scrape sums them. A handle is resolved once and then costs one relaxed add.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use prometheus_client::registry::Registry;

/// Label sets that one thread keeps per family; what comes beyond is counted with every label
/// `other`, and in `weft_metric_series_overflows_total`.
pub(super) const SERIES_PER_FAMILY: usize = 2048;

/// A series of traffic is forgotten when nothing was counted in it for this long.
pub(super) const IDLE_SERIES: Duration = Duration::from_secs(60 * 60);

/// Upper bounds of the duration buckets, in seconds: from a loopback hop to a slow batch call.
pub(super) const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down; a scrape shows the sum over the threads.
    Gauge,
    /// Durations.
    Histogram,
}

/// A metric by name.
#[derive(Debug)]
pub struct Family {
    /// What it counts.
    pub kind: Kind,
    /// Its name, without `_total`.
    pub name: &'static str,
    /// Its help text.
    pub help: &'static str,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// A counter's series.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A gauge's series.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// A histogram's series.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<HistogramCells>);

#[derive(Debug, Default)]
struct HistogramCells {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
}

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// What this thread has counted.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        if let Some(cell) = self.0.buckets.get(bucket) {
            cell.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(nanos, Relaxed);
    }
}

#[derive(Clone, Debug)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// What is counted under one set of label values.
#[derive(Debug)]
struct Entry {
    series: Series,
    /// What a scrape last saw of it, and in which second since the first series that was new.
    seen: (u32, u32),
}

#[derive(Debug)]
struct FamilyTable {
    family: &'static Family,
    /// By label values, joined.
    series: HashMap<Box<str>, Entry>,
}

#[derive(Debug, Default)]
struct Tables {
    families: BTreeMap<&'static str, FamilyTable>,
    /// For joining label values without an allocation per look-up.
    key: String,
}

/// One thread's metrics. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    tables: Arc<Mutex<Tables>>,
}

/// Between two label values. A value that holds it (no header or name can) is only shown wrong.
const SEPARATOR: char = '\u{1f}';

fn join(key: &mut String, labels: &[&str]) {
    key.clear();
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            key.push(SEPARATOR);
        }
        key.push_str(label);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves a table half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// The counter with these label values (in the family's order). Resolve it once and keep it:
    /// the look-up takes this thread's own lock, which only a scrape contends for.
    pub fn counter(&self, family: &'static Family, labels: &[&str]) -> Counter {
        match self.series(family, labels) {
            Series::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge with these label values.
    pub fn gauge(&self, family: &'static Family, labels: &[&str]) -> Gauge {
        match self.series(family, labels) {
            Series::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram with these label values.
    pub fn histogram(&self, family: &'static Family, labels: &[&str]) -> Histogram {
        match self.series(family, labels) {
            Series::Histogram(histogram) => histogram,
            _ => Histogram::default(),
        }
    }

    /// Forgets a series, for gauges whose labels hold a value (a digest).
    pub fn remove(&self, family: &'static Family, labels: &[&str]) {
        let mut tables = lock(&self.tables);
        let Tables { families, key } = &mut *tables;
        join(key, labels);
        if let Some(table) = families.get_mut(family.name) {
            table.series.remove(key.as_str());
        }
    }

    fn series(&self, family: &'static Family, labels: &[&str]) -> Series {
        let mut tables = lock(&self.tables);
        let Tables { families, key } = &mut *tables;
        join(key, labels);
        let table = families.entry(family.name).or_insert_with(|| FamilyTable {
            family,
            series: HashMap::new(),
        });
        if let Some(found) = table.series.get(key.as_str()) {
            return found.series.clone();
        }
        if table.series.len() < SERIES_PER_FAMILY {
            return table.insert(key);
        }
        join(key, &vec!["other"; labels.len()]);
        let series = match table.series.get(key.as_str()) {
            Some(found) => found.series.clone(),
            None => table.insert(key),
        };
        drop(tables);
        self.counter(&super::families::SERIES_OVERFLOWS, &[family.name])
            .inc();
        series
    }
}

/// Seconds since the first series of the process: half of what an [`Instant`] takes, in each series.
fn second(now: Instant) -> u32 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let age = now.saturating_duration_since(*FIRST.get_or_init(|| now));
    u32::try_from(age.as_secs()).unwrap_or(u32::MAX)
}

impl FamilyTable {
    fn insert(&mut self, key: &str) -> Series {
        let series = Series::new(self.family.kind);
        let entry = Entry {
            series: series.clone(),
            seen: (0, second(Instant::now())),
        };
        self.series.insert(key.into(), entry);
        series
    }

    /// Forgets what was last counted longer ago than [`IDLE_SERIES`]. Only series of traffic:
    /// those name services and peers, of which there is no end, and are back at the next request.
    fn expire(&mut self, now: u32) {
        if !self.family.labels.contains(&"destination_service") {
            return;
        }
        let before = self.series.len();
        self.series.retain(|_, entry| {
            let value = entry.series.fingerprint();
            if value != entry.seen.0 || entry.series.is_held() {
                entry.seen = (value, now);
            }
            Duration::from_secs(u64::from(now.saturating_sub(entry.seen.1))) < IDLE_SERIES
        });
        if self.series.len() < before {
            self.series.shrink_to_fit();
        }
    }
}

impl Series {
    /// Changes with whatever is counted.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what changes, changes in its low half"
    )]
    fn fingerprint(&self) -> u32 {
        let value = match self {
            Self::Counter(counter) => counter.get(),
            Self::Gauge(gauge) => gauge.0.load(Relaxed).cast_unsigned(),
            Self::Histogram(histogram) => {
                let buckets = &histogram.0.buckets;
                let count: u64 = buckets.iter().map(|bucket| bucket.load(Relaxed)).sum();
                count.wrapping_add(histogram.0.nanos.load(Relaxed))
            }
        };
        value as u32
    }

    /// Whether somebody beside the table may count in it at any time.
    fn is_held(&self) -> bool {
        let holders = match self {
            Self::Counter(counter) => Arc::strong_count(&counter.0),
            Self::Gauge(gauge) => Arc::strong_count(&gauge.0),
            Self::Histogram(histogram) => Arc::strong_count(&histogram.0),
        };
        holders > 1
    }

    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Counter::default()),
            Kind::Gauge => Self::Gauge(Gauge::default()),
            Kind::Histogram => Self::Histogram(Histogram::default()),
        }
    }
}

/// The process's metrics: every thread's recorder. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    recorders: Arc<Mutex<Vec<Recorder>>>,
    known: Arc<OnceLock<Known>>,
}

/// What is known elsewhere, and shown as gauges of 1: a series of each would say it twice.
struct Known {
    family: &'static Family,
    each: Box<EachKnown>,
}

/// Calls what it is given with the label values of each.
type EachKnown = dyn Fn(&mut dyn FnMut(&[&str])) + Send + Sync;

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(self.family).finish()
    }
}

impl Metrics {
    /// A recorder for one more thread.
    pub fn recorder(&self) -> Recorder {
        let recorder = Recorder::default();
        lock(&self.recorders).push(recorder.clone());
        recorder
    }

    /// Shows, at each scrape, a gauge of 1 for each set of label values that `each` gives. Beyond
    /// the bound of a family they are counted with every label `other`. One family of a process
    /// may be shown so.
    pub fn show(
        &self,
        family: &'static Family,
        each: impl Fn(&mut dyn FnMut(&[&str])) + Send + Sync + 'static,
    ) {
        let each = Box::new(each);
        let is_first = self.known.set(Known { family, each }).is_ok();
        debug_assert!(is_first, "only one family is shown so");
    }

    /// Everything, in the OpenMetrics text form.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Sums over the threads, and their text form.
mod scrape;

#[cfg(test)]
mod tests;
