//! The path of a request under load: scenarios × peers, in interleaved rounds.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    BenchError,
    ahead::Ahead,
    cpu,
    figures::Figure,
    footprint::{resident_kib, settled_kib},
    hop::Peer,
    load::{Saturated, paced},
    peers::weft::counted,
    rounds::{Counted, FOREIGN, summed},
    running::Core,
    saturate::{answers, saturate},
    scenario::Scenario,
    stage::{Deployment, Stage},
    statistics::Summary,
};

/// How it is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Effort {
    /// Rounds that count, of each peer. Three leave a ratio of medians ± 10 %.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds of a round.
    #[arg(long, default_value_t = 2)]
    pub seconds: u32,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: u32,
    /// Requests per second at which latency is measured; 0: not at all.
    #[arg(long, default_value_t = 2000)]
    pub rate: u32,
    /// Rounds in which others used the machine that are repeated, of each peer.
    #[arg(long, default_value_t = 1)]
    pub repeats: usize,
    /// Seconds to wait for a calm machine, over a whole scenario.
    #[arg(long, default_value_t = 20)]
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

/// Measures one scenario; figures in its order of peers. A peer that fails is left out: that is
/// said, and what needs its figures falls short. The second is whether none was.
pub fn measure(stage: &Stage, scenario: Scenario, effort: &Effort) -> (Vec<Figure>, bool) {
    let mut is_whole = true;
    let mut went_well = |peer: Peer, step: Result<(), BenchError>| {
        if let Err(error) = &step {
            eprintln!("{} without {}: {error}", scenario.name(), peer.name());
            is_whole = false;
        }
        step.is_ok()
    };
    let mut subjects = Vec::new();
    for peer in scenario.peers() {
        let is_asked = effort.peer.is_empty() || effort.peer.contains(peer);
        if !is_asked || stage.tools.lacks(*peer) {
            continue;
        }
        let set_up = set_up(stage, scenario, *peer).map(|subject| subjects.push(subject));
        went_well(*peer, set_up);
    }
    subjects.retain_mut(|subject| {
        let warm = warm_up(stage, scenario, subject, effort);
        went_well(subject.peer, warm)
    });
    let mut patience = Duration::from_secs(effort.patience);
    for number in 1..=effort.rounds {
        subjects.retain_mut(|subject| {
            let counted = calm_round(stage, scenario, subject, effort, &mut patience)
                .map(|round| subject.count(scenario, number, round));
            went_well(subject.peer, counted)
        });
    }
    let figures = subjects
        .iter()
        .map(|subject| figure(scenario, subject))
        .collect();
    for subject in &mut subjects {
        subject.deployment.stop();
    }
    (figures, is_whole)
}

impl Subject {
    fn count(&mut self, scenario: Scenario, number: usize, round: Round) {
        eprintln!(
            "{} round {number} {}: {:.3} CPU-s per 10,000, {:.0}/s, others used {:.0} %",
            scenario.name(),
            self.peer.name(),
            round.counted.cpu,
            round.counted.per_second,
            round.counted.foreign * 100.0
        );
        self.rounds.push(round);
    }
}

fn set_up(stage: &Stage, scenario: Scenario, peer: Peer) -> Result<Subject, BenchError> {
    let deployment = stage.deploy(scenario, peer, Core::Measured, &|_, command| command)?;
    answers(scenario, &deployment)?;
    Ok(Subject {
        peer,
        deployment,
        idle_kib: 0,
        load_kib: 0,
        rounds: Vec::new(),
        repeated: 0,
        handshakes: None,
    })
}

/// Connections, buffers and branch predictors are warm before anything counts.
fn warm_up(
    stage: &Stage,
    scenario: Scenario,
    subject: &mut Subject,
    effort: &Effort,
) -> Result<(), BenchError> {
    let deployment = &subject.deployment;
    subject.idle_kib = deployment.pids().into_iter().map(settled_kib).sum();
    let warm = saturate(stage, scenario, deployment, effort.connections, 1)?;
    all_well(&warm, deployment)
}

/// A round in which others left the machine alone, if there is one within the repeats.
fn calm_round(
    stage: &Stage,
    scenario: Scenario,
    subject: &mut Subject,
    effort: &Effort,
    patience: &mut Duration,
) -> Result<Round, BenchError> {
    loop {
        wait_for_calm(stage, &subject.deployment, patience);
        let round = round(stage, scenario, subject, effort)?;
        if round.counted.calm() || subject.repeated >= effort.repeats {
            return Ok(round);
        }
        subject.repeated += 1;
    }
}

/// Waits until others leave the machine alone, as long as there is patience left.
fn wait_for_calm(stage: &Stage, deployment: &Deployment, patience: &mut Duration) {
    let known = [stage.known(), deployment.known(), deployment.pids()].concat();
    while !patience.is_zero() {
        let began = Instant::now();
        if cpu::foreign(&known) <= FOREIGN {
            return;
        }
        thread::sleep(Duration::from_millis(500));
        *patience = patience.saturating_sub(began.elapsed());
    }
}

/// A round in which something fails has no figure.
fn all_well(seen: &Saturated, deployment: &Deployment) -> Result<(), BenchError> {
    if seen.failed == 0 {
        return Ok(());
    }
    let reason = format!("{} failed of {} that were sent", seen.failed, seen.requests);
    Err(deployment.error(reason))
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
    let known = [stage.known(), subject.deployment.known()].concat();
    let span = cpu::Span::begin(&pids, &known);
    let (deployment, seconds) = (&subject.deployment, effort.seconds);
    let seen = saturate(stage, scenario, deployment, effort.connections, seconds)?;
    let spent = span.end();
    if scenario == Scenario::MtlsPairHttp1 && !subject.deployment.metrics.is_empty() {
        let count = handshakes(&subject.deployment).saturating_sub(before);
        subject.handshakes = Some(count as f64 / seen.requests as f64);
    }
    all_well(&seen, &subject.deployment)?;
    let resident = pids.iter().map(|pid| resident_kib(*pid)).sum();
    subject.load_kib = subject.load_kib.max(resident);
    let latency = (effort.rate > 0 && scenario.is_paced()).then(|| {
        let pace = paced::Pace {
            rate: effort.rate,
            connections: 16,
            // Twice as long: of a hundred responses one decides.
            time: Duration::from_secs(u64::from(effort.seconds) * 2),
        };
        let ahead = Ahead::of(&[pids.as_slice(), &known].concat());
        if !ahead.is_whole() {
            eprintln!("latency is taken without real-time priority: others' work is in its tail");
        }
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
