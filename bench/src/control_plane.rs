//! The control plane on a real kube-apiserver and etcd, at several sizes of one mesh that grows. In
//! flow order:

/// etcd, kube-apiserver, and who may do what.
mod stage;

/// JSON to the API server.
mod requests;

/// etcd itself.
mod store;

/// A service as controllers and kubelets would have left it in etcd.
mod stored;

/// The mesh: what it consists of, and its growth.
mod mesh;

/// The operator's process, and what it counts.
mod operator;

/// Documents as they are published.
mod published;

/// From nothing to everything published; and a start that finds everything published.
mod starts;

/// A proxy's process, and what it answers.
mod caller;

/// One route changes, again and again.
mod route_changes;

/// A hundred endpoints change every second.
mod endpoint_changes;

/// A thousand proxies.
mod proxies;

/// What admission costs in a large namespace.
mod judging;

/// What was seen, as a table and as what must be shown.
mod measured;

use std::time::{Duration, Instant};

use crate::{
    BenchError, cpu,
    figures::{command, now},
    tools::Tools,
};
pub use measured::{Measured, NAMES, SizeMeasured, TITLE};

use caller::Caller;
use mesh::Mesh;
use operator::Operator;
use stage::Stage;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Sizes of the mesh, in services, ascending.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,10000")]
    pub sizes: Vec<usize>,
    /// Changes of a route at each size.
    #[arg(long, default_value_t = 200)]
    pub changes: usize,
    /// How long endpoints change, in seconds.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Proxies that follow their documents at the largest size.
    #[arg(long, default_value_t = 1000)]
    pub proxies: usize,
}

impl Options {
    /// Enough to see that everything runs.
    #[must_use]
    pub fn quick(self) -> Self {
        Self {
            sizes: vec![200, 400],
            changes: 20,
            seconds: 3,
            proxies: 50,
        }
    }
}

/// Measures every size; some minutes.
pub fn measure(tools: &Tools, options: &Options) -> Result<Measured, BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::file("the runtime"))?;
    runtime.block_on(all(tools, options))
}

async fn all(tools: &Tools, options: &Options) -> Result<Measured, BenchError> {
    let programs = (tools.own("weft-operator")?, tools.released("weft-proxy")?);
    note("etcd and kube-apiserver start");
    let stage = Stage::set(programs).await?;
    let mut mesh = Mesh::new(&stage).await?;
    let mut measured = Measured {
        command: command(),
        date: now(),
        ..Measured::default()
    };
    for (place, services) in options.sizes.iter().enumerate() {
        let is_last = place + 1 == options.sizes.len();
        let size = one(&stage, &mut mesh, *services, options, is_last).await?;
        measured.take(size);
    }
    let services = options.sizes.iter().min().copied().unwrap_or(0);
    measured.judging = Some(judging::measure(services)?);
    Ok(measured)
}

/// One size of the mesh.
async fn one(
    stage: &Stage,
    mesh: &mut Mesh<'_>,
    services: usize,
    options: &Options,
    is_last: bool,
) -> Result<SizeMeasured, BenchError> {
    note(&format!("{services} services: they are made"));
    let began = Instant::now();
    mesh.grow(services).await?;
    let grown = began.elapsed();
    stage.forget_documents().await?;

    note(&format!("{services} services: cold start"));
    let mut operator = Operator::start(stage)?;
    let calm = cpu::Span::begin(&[operator.pid()], &stage.pids());
    let cold = starts::cold(&operator).await?;
    starts::until_quiet(&operator).await?;
    let mut resident_kib = crate::footprint::settled_kib(operator.pid());

    note(&format!(
        "{services} services: a start that finds everything"
    ));
    operator.stop();
    let peak_kib = operator.peak_kib();
    operator = Operator::start(stage)?;
    let warm = starts::warm(&operator).await?;

    note(&format!("{services} services: a route changes"));
    let caller = Caller::start(stage).await?;
    let route = route_changes::measure(stage, &operator, &caller, options.changes).await?;

    note(&format!("{services} services: endpoints change"));
    let endpoints =
        endpoint_changes::measure(stage, &operator, mesh, Duration::from_secs(options.seconds))
            .await?;
    resident_kib = resident_kib.max(crate::footprint::settled_kib(operator.pid()));
    let peak_kib = peak_kib.max(operator.peak_kib());

    let proxies = if is_last && options.proxies > 0 {
        note(&format!("{} proxies", options.proxies));
        Some(proxies::measure(stage, services, options.proxies).await?)
    } else {
        None
    };
    // What has ended counts among the children of this process.
    drop(caller);
    operator.stop();
    let foreign = calm.end().foreign;
    Ok(SizeMeasured {
        services,
        routes: mesh.routes(),
        grown_seconds: grown.as_secs_f64(),
        cold,
        warm,
        route,
        endpoints,
        resident_kib,
        peak_kib,
        proxies,
        foreign,
    })
}

fn note(what: &str) {
    eprintln!("{}: {what}", jiff::Timestamp::now().strftime("%H:%M:%S"));
}
