use std::time::Duration;

use super::mesh::{ENDPOINTS, ROUTE_EVERY};
use crate::figures::Figures;

/// Its heading.
pub const TITLE: &str = "The control plane, on a real API server";

/// The figures that must be shown, as they are named in a file of figures.
pub const NAMES: [&str; 9] = [
    "active-p50-1000",
    "active-p99-1000",
    "active-growth",
    "change-cpu-growth",
    "change-writes-growth",
    "resync-writes",
    "cold-start-500",
    "operator-rss-1000",
    "operator-rss-10000",
];

/// Everything that was seen.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The command.
    pub command: String,
    /// When.
    pub date: String,
    /// Smallest first.
    pub sizes: Vec<SizeMeasured>,
    /// What admission costs.
    #[serde(default)]
    pub judging: Option<Judging>,
}

/// One size of the mesh.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeMeasured {
    /// Services, five endpoints each.
    pub services: usize,
    /// Routes among them.
    pub routes: usize,
    /// How long the API server took to make what was missing.
    pub grown_seconds: f64,
    /// The first start.
    pub cold: Cold,
    /// Another start.
    pub warm: Warm,
    /// One route changes.
    pub route: RouteChanges,
    /// Endpoints change.
    pub endpoints: EndpointChanges,
    /// The operator's resident memory: after its first start or at the end, whichever is more.
    pub resident_kib: u64,
    /// The most that was ever resident.
    pub peak_kib: u64,
    /// A thousand proxies.
    pub proxies: Option<Proxies>,
    /// The share of the machine that others used, 0 to 1.
    pub foreign: f64,
}

/// A start that finds nothing published.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cold {
    /// From the start of the process until the last document is stored.
    pub seconds: f64,
    /// Until every status is told as well.
    pub told_seconds: f64,
    /// Documents written.
    pub documents: u64,
    /// Statuses written.
    pub statuses: u64,
    /// Processor time of the operator.
    pub cpu_seconds: f64,
}

/// A start that finds everything published.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warm {
    /// From the start of the process until it has compared everything.
    pub seconds: f64,
    /// Processor time of the operator.
    pub cpu_seconds: f64,
    /// Documents and statuses that it wrote, its first eleven seconds long.
    pub writes: u64,
}

/// Times of many changes, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// The middle one.
    pub p50: f64,
    /// 99 of 100 are no longer.
    pub p99: f64,
    /// The longest.
    pub most: f64,
}

impl Spread {
    /// Of at least one time; zeros of none.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        // The nearest rank.
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            let time = times.get(rank.saturating_sub(1)).copied();
            time.unwrap_or_default().as_secs_f64() * 1000.0
        };
        Self {
            p50: at(0.50),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}

/// One route, changed again and again.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteChanges {
    /// How often.
    pub changes: usize,
    /// From the request that changes it until a watch shows its new document.
    pub published: Spread,
    /// Until a proxy serves it.
    pub active: Spread,
    /// Processor time of the operator for one, without what it uses when nothing changes.
    pub cpu_ms: f64,
    /// What it uses then, as a share of a core.
    pub idle_cpu: f64,
    /// Documents written for one.
    pub documents: u64,
    /// Statuses written for one.
    pub statuses: u64,
}

/// Endpoints that change all the time.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointChanges {
    /// How many.
    pub changes: usize,
    /// As many were published per second.
    pub per_second: f64,
    /// From the moment at which a change was due until a watch shows its document.
    pub lag: Spread,
    /// The operator's share of a core.
    pub cpu: f64,
    /// The API server's share of a core.
    pub api_server_cpu: f64,
    /// Documents written for one change.
    pub documents: f64,
}

/// Many proxies.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxies {
    /// How many.
    pub count: usize,
    /// Documents that they follow, all together.
    pub watches: usize,
    /// Until all of them had loaded theirs.
    pub start_seconds: f64,
    /// The API server's processor time meanwhile.
    pub start_cpu_seconds: f64,
    /// What the API server's memory grew by.
    pub api_server_kib: u64,
    /// Its share of a core while nothing changes, without and with them.
    pub idle_cpu: (f64, f64),
    /// The same while a route changes once a second that all of them follow.
    pub change_cpu: f64,
    /// From the request that changes a route until a proxy has it active: of every proxy and
    /// change.
    pub convergence: Spread,
}

/// The admission of one policy of a namespace.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judging {
    /// Services of the namespace, five pods each.
    pub services: usize,
    /// How long the reconciler waits, in milliseconds.
    pub copy_ms: f64,
    /// Until there is an answer, that included.
    pub all_ms: f64,
}

impl Measured {
    /// Takes a size in, and says what was seen.
    pub(super) fn take(&mut self, size: SizeMeasured) {
        self.sizes.push(size);
        if let Some(size) = self.sizes.last() {
            eprintln!("{}", tell(size));
        }
    }

    /// Keeps everything in a file of figures.
    pub fn keep(self, figures: &mut Figures) {
        if let (Some(small), Some(large)) = (self.sizes.first(), self.sizes.last()) {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let cold = large.cold.documents as f64 / large.cold.seconds;
            let writes = |size: &SizeMeasured| (size.route.documents + size.route.statuses) as f64;
            let resync = self.sizes.iter().map(|size| size.warm.writes).max();
            let values = [
                (small.route.active.p50, "ms"),
                (small.route.active.p99, "ms"),
                (large.route.active.p99 / small.route.active.p99, ""),
                (large.route.cpu_ms / small.route.cpu_ms, ""),
                (writes(large) / writes(small), ""),
                (resync.unwrap_or_default() as f64, ""),
                (500_000.0 / cold, "ms"),
                (mib(small.resident_kib), "MiB"),
                (mib(large.resident_kib), "MiB"),
            ];
            for (name, (value, unit)) in NAMES.into_iter().zip(values) {
                figures.put_value(name, value, unit);
            }
        }
        figures.control_plane = Some(self);
    }

    /// What the table says of itself.
    pub fn about(&self) -> String {
        format!(
            "etcd (`--unsafe-no-fsync`), kube-apiserver and everything else on one machine. {ENDPOINTS} \
             endpoints and pods for each service, a hundred services to a namespace, a VirtualRoute for \
             one service in {ROUTE_EVERY}, a MeshPolicy and an AuthPolicy for each namespace. Services, \
             EndpointSlices and pods are written into etcd as controllers and kubelets would have left \
             them, all else by the API. One mesh grows from \
             size to size; the operator finds no documents at each cold start. A change is active when \
             a request through a real proxy (`--config-api`) is answered by the new route; times \
             begin before the request that makes the change.{}",
            self.judging.map_or_else(String::new, |judging| format!(
                " Judging an AuthPolicy of a namespace of {} services takes {:.1} ms, of which the \
                 reconciler waits {:.1} ms.",
                judging.services, judging.all_ms, judging.copy_ms
            ))
        )
    }

    /// The columns of the table.
    pub fn header(&self) -> Vec<String> {
        let sizes = self.sizes.iter();
        let sizes = sizes.map(|size| format!("{} services", size.services));
        std::iter::once(String::new()).chain(sizes).collect()
    }

    /// Its rows.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, of: &dyn Fn(&SizeMeasured) -> String| {
            let cells = self.sizes.iter().map(of);
            std::iter::once(name.to_owned()).chain(cells).collect()
        };
        let mut rows: Vec<Vec<String>> = ROWS.iter().map(|(name, of)| row(name, of)).collect();
        if let Some(count) = self.sizes.iter().find_map(|size| Some(size.proxies?.count)) {
            rows.extend(PROXY_ROWS.iter().map(|(name, of)| {
                let of =
                    |size: &SizeMeasured| size.proxies.as_ref().map_or_else(|| "–".to_owned(), of);
                row(&format!("{count} proxies: {name}"), &of)
            }));
        }
        rows
    }
}

type Row<T> = (&'static str, fn(&T) -> String);

const ROWS: &[Row<SizeMeasured>] = &[
    ("cold start: documents", |s| s.cold.documents.to_string()),
    ("cold start: seconds", |s| format!("{:.1}", s.cold.seconds)),
    ("cold start: documents/s", |s| {
        format!("{:.0}", s.cold.documents as f64 / s.cold.seconds)
    }),
    ("cold start: seconds until every status is told", |s| {
        format!("{:.1}", s.cold.told_seconds)
    }),
    ("cold start: operator CPU-s", |s| {
        format!("{:.1}", s.cold.cpu_seconds)
    }),
    ("a start that finds everything: seconds", |s| {
        format!("{:.1}", s.warm.seconds)
    }),
    ("a start that finds everything: writes", |s| {
        s.warm.writes.to_string()
    }),
    ("one route change: operator CPU ms", |s| {
        format!("{:.2}", s.route.cpu_ms)
    }),
    ("one route change: documents + statuses written", |s| {
        format!("{} + {}", s.route.documents, s.route.statuses)
    }),
    ("one route change: published, p50 / p99 ms", |s| {
        times(&s.route.published)
    }),
    ("one route change: active, p50 / p99 ms", |s| {
        times(&s.route.active)
    }),
    ("100 endpoint changes/s: lag p50 / p99 ms", |s| {
        times(&s.endpoints.lag)
    }),
    ("100 endpoint changes/s: operator, % of a core", |s| {
        percent(s.endpoints.cpu)
    }),
    ("100 endpoint changes/s: API server, % of a core", |s| {
        percent(s.endpoints.api_server_cpu)
    }),
    ("100 endpoint changes/s: documents written for one", |s| {
        format!("{:.2}", s.endpoints.documents)
    }),
    ("operator: resident MiB", |s| mib(s.resident_kib)),
    ("operator: peak MiB", |s| mib(s.peak_kib)),
    ("operator, nothing changes: % of a core", |s| {
        percent(s.route.idle_cpu)
    }),
    ("others' CPU", |s| percent(s.foreign)),
];

const PROXY_ROWS: &[Row<Proxies>] = &[
    ("watches", |p| p.watches.to_string()),
    ("seconds until all have loaded", |p| {
        format!("{:.1}", p.start_seconds)
    }),
    ("API server CPU-s until then", |p| {
        format!("{:.1}", p.start_cpu_seconds)
    }),
    ("API server, MiB more", |p| mib(p.api_server_kib)),
    (
        "API server, nothing changes, without / with them: % of a core",
        |p| format!("{} / {}", percent(p.idle_cpu.0), percent(p.idle_cpu.1)),
    ),
    ("API server, one change a second: % of a core", |p| {
        percent(p.change_cpu)
    }),
    ("change → active, p50 / p99 ms", |p| times(&p.convergence)),
];

fn tell(size: &SizeMeasured) -> String {
    let one = Measured {
        sizes: vec![size.clone()],
        ..Measured::default()
    };
    let rows = one.rows().into_iter();
    let lines = rows.map(|row| format!("  {}", row.join(": ")));
    lines.collect::<Vec<_>>().join("\n")
}

fn times(spread: &Spread) -> String {
    format!("{:.0} / {:.0}", spread.p50, spread.p99)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn mib(kib: u64) -> String {
    format!("{:.0}", kib as f64 / 1024.0)
}

#[cfg(test)]
mod tests;
