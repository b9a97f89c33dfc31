//! The path of a request under load: scenarios × peers, in interleaved rounds.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    BenchError, cpu,
    figures::Figure,
    footprint::{resident_kib, settled_kib},
    hop::Peer,
    load::{Saturated, h2load, paced, wrk},
    peers::{nginx::BODY, weft::counted},
    running::{Core, get},
    scenario::{Deployment, Scenario, Stage},
    statistics::Summary,
};

/// What others may use of the machine before a round is repeated.
pub const FOREIGN: f64 = 0.08;

/// How it is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Effort {
    /// Rounds that count, of each peer.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Seconds of a round.
    #[arg(long, default_value_t = 4)]
    pub seconds: u32,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: u32,
    /// Requests per second at which latency is measured; 0: not at all.
    #[arg(long, default_value_t = 2000)]
    pub rate: u32,
    /// A round in which others used the machine is repeated this often, for each peer.
    #[arg(long, default_value_t = 2)]
    pub repeats: usize,
    /// Seconds to wait for a calm machine, over a whole scenario.
    #[arg(long, default_value_t = 60)]
    pub patience: u64,
    /// Only these peers.
    #[arg(long, value_enum)]
    pub peer: Vec<Peer>,
}

impl Effort {
    /// Enough to see that everything runs; the figures are worth nothing.
    #[must_use]
    pub fn quick(mut self) -> Self {
        (self.rounds, self.seconds, self.repeats, self.patience) = (1, 1, 0, 0);
        self
    }
}

/// A peer under measurement.
struct Subject {
    peer: Peer,
    deployment: Deployment,
    idle_kib: u64,
    load_kib: u64,
    rounds: Vec<Round>,
    repeated: usize,
    /// Mesh handshakes per request at saturation, where the proxy counts them.
    handshakes: Option<f64>,
}

struct Round {
    counted: Counted,
    latency: Option<paced::Latency>,
}

/// CPU of what was counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// CPU-seconds for 10,000 of them.
    pub cpu: f64,
    /// How many per second.
    pub per_second: f64,
    /// The share of the machine that others used.
    pub foreign: f64,
}

impl Counted {
    /// `count` of them were had for `spent`.
    pub fn of(spent: cpu::Spent, count: u64) -> Self {
        Self {
            cpu: spent.measured.as_secs_f64() / count.max(1) as f64 * 10_000.0,
            per_second: count as f64 / spent.elapsed.as_secs_f64(),
            foreign: spent.foreign,
        }
    }

    fn calm(&self) -> bool {
        self.foreign <= FOREIGN
    }
}

/// The rounds of one peer. Where one was calm, those that were not do not count.
pub fn summed(peer: String, rounds: &[Counted]) -> Figure {
    let calm = rounds.iter().any(Counted::calm);
    let counted: Vec<&Counted> = rounds
        .iter()
        .filter(|round| !calm || round.calm())
        .collect();
    let of = |value: fn(&Counted) -> f64| {
        Summary::of(&counted.iter().map(|round| value(round)).collect::<Vec<_>>())
    };
    Figure {
        peer,
        cpu: of(|round| round.cpu),
        per_second: of(|round| round.per_second),
        rounds: counted.len(),
        disturbed: !calm,
        foreign: of(|round| round.foreign).median,
        ..Figure::default()
    }
}

/// Measures one scenario; figures by the peer's label, in the scenario's order.
pub fn measure(
    stage: &Stage,
    scenario: Scenario,
    effort: &Effort,
) -> Result<Vec<Figure>, BenchError> {
    let mut subjects = Vec::new();
    for peer in scenario.peers() {
        if !effort.peer.is_empty() && !effort.peer.contains(peer) {
            continue;
        }
        let deployment = stage.deploy(scenario, *peer, Core::Measured, &|_, command| command)?;
        answers(scenario, &deployment)?;
        subjects.push(Subject {
            peer: *peer,
            deployment,
            idle_kib: 0,
            load_kib: 0,
            rounds: Vec::new(),
            repeated: 0,
            handshakes: None,
        });
    }
    for subject in &mut subjects {
        subject.idle_kib = subject.deployment.pids().into_iter().map(settled_kib).sum();
        // Connections, buffers and branch predictors are warm before anything counts.
        saturate(stage, scenario, &subject.deployment, effort, 1)?;
    }
    let mut patience = Duration::from_secs(effort.patience);
    for number in 0..effort.rounds {
        for subject in &mut subjects {
            let mut again = effort.repeats;
            let round = loop {
                wait_for_calm(stage, &subject.deployment.pids(), &mut patience);
                let round = round(stage, scenario, subject, effort)?;
                if round.counted.calm() || again == 0 {
                    break round;
                }
                again -= 1;
                subject.repeated += 1;
            };
            eprintln!(
                "{} round {} {}: {:.3} CPU-s per 10,000, {:.0}/s, others used {:.0} %",
                scenario.name(),
                number + 1,
                subject.peer.name(),
                round.counted.cpu,
                round.counted.per_second,
                round.counted.foreign * 100.0
            );
            subject.rounds.push(round);
        }
    }
    let figures = subjects
        .iter()
        .map(|subject| figure(scenario, subject))
        .collect();
    for subject in &mut subjects {
        subject.deployment.stop();
    }
    Ok(figures)
}

/// Waits until others leave the machine alone, as long as there is patience left.
fn wait_for_calm(stage: &Stage, pids: &[u32], patience: &mut Duration) {
    let known = [stage.known(), pids.to_vec()].concat();
    while !patience.is_zero() {
        let began = Instant::now();
        if cpu::foreign(&known) <= FOREIGN {
            return;
        }
        thread::sleep(Duration::from_millis(500));
        *patience = patience.saturating_sub(began.elapsed());
    }
}

/// One request says whether the set-up does what is to be measured.
fn answers(scenario: Scenario, deployment: &Deployment) -> Result<(), BenchError> {
    if scenario.tls_front() || scenario.http2() {
        // wrk and h2load count what is not a 200.
        return Ok(());
    }
    // The first request may meet a document that is being loaded.
    let began = Instant::now();
    loop {
        let answer = get(deployment.front, &deployment.host, "/");
        match answer {
            Some((200, body)) if body.len() == BODY => return Ok(()),
            _ if began.elapsed() < Duration::from_secs(20) => {
                thread::sleep(Duration::from_millis(100));
            }
            other => {
                let status = other.map(|(status, body)| (status, body.len()));
                let proxy = deployment.proxies.last().or(deployment.proxies.first());
                let reason = format!("does not give the backend's answer: {status:?}");
                return Err(match proxy {
                    Some(proxy) => proxy.error(reason),
                    None => BenchError::Manifest(reason),
                });
            }
        }
    }
}

fn saturate(
    stage: &Stage,
    scenario: Scenario,
    deployment: &Deployment,
    effort: &Effort,
    seconds: u32,
) -> Result<Saturated, BenchError> {
    let (tools, front, host) = (&stage.tools, deployment.front, &deployment.host);
    if scenario.http2() {
        // As many requests under way as with HTTP/1.1, on fewer connections.
        let connections = (effort.connections / 8).max(1);
        h2load::send(tools, front, host, connections, 8, seconds)
    } else {
        let tls = scenario.tls_front();
        wrk::send(tools, front, host, tls, effort.connections, seconds)
    }
}

fn round(
    stage: &Stage,
    scenario: Scenario,
    subject: &mut Subject,
    effort: &Effort,
) -> Result<Round, BenchError> {
    let pids = subject.deployment.pids();
    let handshakes = |deployment: &Deployment| {
        let of = |metrics: &SocketAddr| counted(*metrics, "weft_tls_handshakes_total", "inbound");
        deployment.metrics.iter().map(of).sum::<u64>()
    };
    let before = handshakes(&subject.deployment);
    let span = cpu::Span::begin(&pids, &stage.known());
    let seen = saturate(stage, scenario, &subject.deployment, effort, effort.seconds)?;
    let spent = span.end();
    if scenario == Scenario::MtlsPairHttp1 && !subject.deployment.metrics.is_empty() {
        let count = handshakes(&subject.deployment).saturating_sub(before);
        subject.handshakes = Some(count as f64 / seen.requests as f64);
    }
    if seen.failed > 0 {
        let reason = format!("{} of {} requests failed", seen.failed, seen.requests);
        return Err(match subject.deployment.proxies.last() {
            Some(proxy) => proxy.error(reason),
            None => BenchError::Manifest(reason),
        });
    }
    let resident = pids.iter().map(|pid| resident_kib(*pid)).sum();
    subject.load_kib = subject.load_kib.max(resident);
    let paced = effort.rate > 0 && !scenario.tls_front() && !scenario.http2();
    let latency = paced.then(|| {
        let pace = paced::Pace {
            rate: effort.rate,
            connections: 16,
            time: Duration::from_secs(u64::from(effort.seconds)),
        };
        paced::send(subject.deployment.front, &subject.deployment.host, pace)
    });
    let mut counted = Counted::of(spent, seen.requests);
    counted.per_second = seen.per_second;
    Ok(Round { counted, latency })
}

fn figure(scenario: Scenario, subject: &Subject) -> Figure {
    let rounds: Vec<Counted> = subject.rounds.iter().map(|round| round.counted).collect();
    let calm = rounds.iter().any(Counted::calm);
    let latency = |value: fn(&paced::Latency) -> f64| {
        let counted = subject
            .rounds
            .iter()
            .filter(|round| !calm || round.counted.calm());
        let values: Vec<f64> = counted
            .filter_map(|round| round.latency.as_ref())
            .map(value)
            .collect();
        (!values.is_empty()).then(|| Summary::of(&values))
    };
    let mut more = BTreeMap::new();
    if let Some(handshakes) = subject.handshakes {
        more.insert("handshakesPerRequest".to_owned(), handshakes);
    }
    Figure {
        p50: latency(|latency| latency.p50),
        p99: latency(|latency| latency.p99),
        p999: latency(|latency| latency.p999),
        idle_kib: subject.idle_kib,
        load_kib: subject.load_kib,
        repeated: subject.repeated,
        more,
        ..summed(scenario.label(subject.peer).to_owned(), &rounds)
    }
}
