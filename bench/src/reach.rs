//! What must be shown: each figure, what it has to reach, and what was seen.

use crate::figures::Figures;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// What is compared.
    pub figure: String,
    /// The most that is right.
    pub most: f64,
    /// What was seen; `None`: it was not measured, or cannot be.
    pub seen: Option<f64>,
    /// Its unit; empty for a ratio.
    pub unit: &'static str,
    /// Others used the machine in every round of a part of it.
    pub disturbed: bool,
}

impl Reach {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.seen.is_some_and(|seen| seen <= self.most)
    }

    /// `ok`, `SHORT`, or why neither.
    pub fn verdict(&self) -> &'static str {
        match self.seen {
            None => "SHORT (not measured)",
            Some(_) if self.holds() => "ok",
            Some(_) => "SHORT",
        }
    }
}

/// Every line, as far as `figures` go.
pub fn all(figures: &Figures) -> Vec<Reach> {
    let mut rows = Vec::new();
    let table = Table { figures };
    let plain = "plain-http1";
    for side in ["weft (caller's side)", "weft (callee's side)"] {
        rows.push(table.cpu(plain, side, "haproxy", 1.15));
        rows.push(table.cpu(plain, side, "envoy", 0.45));
    }
    for side in ["weft", "weft-inbound"] {
        rows.push(table.instructions(plain, side, 1.4));
    }
    let pair = "mtls-pair-http1";
    rows.push(table.cpu(pair, "weft", "haproxy", 1.15));
    rows.push(table.cpu(pair, "weft", "envoy", 0.40));
    rows.push(table.instructions(pair, "weft", 1.3));
    rows.push(table.cpu("tls-front", "weft", "nginx", 1.1));
    rows.push(table.cpu("tls-front", "weft", "envoy", 0.45));
    rows.push(table.cpu("everything", "weft, everything on", "weft, nothing on", 1.4));
    rows.push(table.cpu("tcp-plain", "weft", "haproxy", 1.0));
    rows.push(table.cpu("tcp-mtls", "weft", "rustls copy (floor)", 1.1));
    rows.push(table.added(pair, "haproxy", 1.1));
    rows.push(table.added(pair, "envoy", 0.7));
    rows.push(table.memory(plain, "weft (caller's side)", 12.0));
    rows.push(table.handshakes(pair));
    for (figure, name, most, unit) in VALUES {
        rows.push(table.value(figure, name, *most, unit));
    }
    rows
}

/// Figures that are one value each.
const VALUES: &[(&str, &str, f64, &str)] = &[
    ("RSS of one proxy, idle", "rss-idle", 6.0, "MiB"),
    (
        "RSS of one proxy, 1,000 services",
        "rss-1000-services",
        16.0,
        "MiB",
    ),
    ("RSS for each service more", "rss-per-service", 10.0, "KiB"),
    (
        "one of 1,000 services changes 10 ×/s: failed requests",
        "reload-failed",
        0.0,
        "",
    ),
    (
        "one of 1,000 services changes 10 ×/s: closed connections",
        "reload-closed",
        0.0,
        "",
    ),
    (
        "one of 1,000 services changes: CPU ÷ Envoy's file RDS",
        "reload-cpu-envoy",
        0.25,
        "",
    ),
    (
        "full handshakes: CPU ÷ haproxy",
        "handshake-cpu-haproxy",
        0.75,
        "",
    ),
    (
        "apply → active, 1,000 services, p50",
        "active-p50-1000",
        50.0,
        "ms",
    ),
    (
        "apply → active, 1,000 services, p99",
        "active-p99-1000",
        150.0,
        "ms",
    ),
    (
        "apply → active, p99, 10,000 ÷ 1,000 services",
        "active-growth",
        2.0,
        "",
    ),
    (
        "one route change: CPU, 10,000 ÷ 1,000 services",
        "change-cpu-growth",
        1.5,
        "",
    ),
    (
        "one route change: writes, 10,000 ÷ 1,000 services",
        "change-writes-growth",
        1.0,
        "",
    ),
    ("writes of a resync", "resync-writes", 0.0, ""),
    (
        "cold start at 10,000 services: ms for 500 documents",
        "cold-start-500",
        1000.0,
        "ms",
    ),
    (
        "operator RSS, 1,000 services × 5 endpoints",
        "operator-rss-1000",
        64.0,
        "MiB",
    ),
    (
        "operator RSS, 10,000 services × 5 endpoints",
        "operator-rss-10000",
        250.0,
        "MiB",
    ),
];

struct Table<'a> {
    figures: &'a Figures,
}

impl Table<'_> {
    fn cpu(&self, scenario: &str, weft: &str, peer: &str, most: f64) -> Reach {
        let of = |peer: &str| self.figures.get(scenario, peer);
        let (own, other) = (of(weft), of(peer));
        let seen = own
            .zip(other)
            .map(|(own, other)| own.cpu.median / other.cpu.median);
        Reach {
            figure: format!("{scenario}: CPU of {weft} ÷ {peer}"),
            most,
            seen,
            unit: "",
            disturbed: [own, other]
                .into_iter()
                .flatten()
                .any(|figure| figure.disturbed),
        }
    }

    fn instructions(&self, scenario: &str, weft: &str, most: f64) -> Reach {
        let of = |peer: &str| {
            self.figures
                .value(&format!("instructions/{scenario}/{peer}"))
        };
        Reach {
            figure: format!("{scenario}: user instructions of {weft} ÷ the hyper floor"),
            most,
            seen: of(weft).zip(of("hyper")).map(|(own, floor)| own / floor),
            unit: "",
            disturbed: false,
        }
    }

    /// What the proxies add to the backend's own p99.
    fn added(&self, scenario: &str, peer: &str, most: f64) -> Reach {
        let figure = |peer: &str| self.figures.get(scenario, peer);
        let p99 = |peer: &str| Some(figure(peer)?.p99?.median);
        // A microsecond at least: on a machine that is not calm a proxy may seem to add nothing.
        let added = |peer: &str| Some((p99(peer)? - p99("no proxy")?).max(1.0));
        Reach {
            figure: format!("{scenario}: p99 added at the fixed rate, weft ÷ {peer}"),
            most,
            seen: added("weft")
                .zip(added(peer))
                .map(|(own, other)| own / other),
            unit: "",
            disturbed: ["weft", peer]
                .into_iter()
                .filter_map(figure)
                .any(|figure| figure.disturbed),
        }
    }

    fn memory(&self, scenario: &str, weft: &str, most: f64) -> Reach {
        let figure = self.figures.get(scenario, weft);
        Reach {
            figure: "RSS of one proxy, 64 connections".to_owned(),
            most,
            seen: figure.map(|figure| figure.load_kib as f64 / 1024.0),
            unit: "MiB",
            disturbed: false,
        }
    }

    fn handshakes(&self, scenario: &str) -> Reach {
        let figure = self.figures.get(scenario, "weft");
        Reach {
            figure: "mesh handshakes per request, in steady state".to_owned(),
            // None; a connection that the backend closes is opened again.
            most: 0.0005,
            seen: figure.and_then(|figure| figure.more.get("handshakesPerRequest").copied()),
            unit: "",
            disturbed: false,
        }
    }

    fn value(&self, figure: &str, name: &str, most: f64, unit: &'static str) -> Reach {
        Reach {
            figure: figure.to_owned(),
            most,
            seen: self.figures.value(name),
            unit,
            disturbed: false,
        }
    }
}

#[cfg(test)]
mod tests;
