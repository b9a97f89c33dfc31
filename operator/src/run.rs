use std::{collections::HashMap, io::Write, net::SocketAddr, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use weft_crds::Settings;
use weft_engine::{
    documents::ReportTo,
    identity::{SpiffeId, SpiffeIdError},
};

use crate::{
    cli::{Arguments, ClusterArguments, MeshArguments, StandaloneArguments, WorldArguments},
    identity::{Keeper, KeeperNews, KeeperSettings, Secrets, Volumes},
    lease::{Election, Leadership, Timing},
    metrics::Metrics,
    publish::{ConfigMaps, Files, Ledger, PublishError},
    reconcile::{Joining, Parts, Questions, Reconciler, Summary, questions},
    reports::{self, Told},
    serve::{ListenError, serve},
    source::{self, Change, WatchedDirectory, watch_directory},
    status::{StatusApi, StatusError, StatusFiles, accept_classes},
    webhook,
};

/// How long everything has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// The operator's service account, whose name its certificate carries.
const ACCOUNT: &str = "weft-operator";

/// Why the operator ended, other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused something basic.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifests are not there.
    #[error("--manifests {path}: {source}; name a directory that exists")]
    Manifests {
        /// The directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No directory to write documents to.
    #[error("--out: {0}")]
    Documents(#[from] PublishError),
    /// No directory to write statuses to.
    #[error("--out: {0}")]
    Statuses(#[from] StatusError),
    /// Proxies could not find it.
    #[error(
        "--reports {0}: proxies need an address that leads here; give --reports-ip (in a pod, its own)"
    )]
    NoAddress(SocketAddr),
    /// The operator's own name is none.
    #[error("--trust-domain or --namespace: {0}")]
    Name(#[from] SpiffeIdError),
    /// An address to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No way to an API server.
    #[error(
        "no Kubernetes client: {0}; in a pod, check its service account; elsewhere, check KUBECONFIG"
    )]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs the operator until SIGTERM or SIGINT.
pub fn run(arguments: Arguments) -> Result<(), RunError> {
    // The one TLS provider of this process. A second installation is no error: it is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Files are written on these; more would only queue on the disk.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            what: "the runtime could not be started",
            source,
        })?;
    runtime.block_on(async {
        match arguments.world {
            WorldArguments::Standalone(arguments) => standalone(arguments).await,
            WorldArguments::Cluster(arguments) => cluster(arguments).await,
        }
    })
}

async fn standalone(arguments: StandaloneArguments) -> Result<(), RunError> {
    let stop = stop_on_signal()?;
    std::fs::read_dir(&arguments.manifests).map_err(|source| RunError::Manifests {
        path: arguments.manifests.display().to_string(),
        source,
    })?;
    let shared = Shared::new(&arguments.mesh, "weft-system")?;
    let files = Files::new(&arguments.out)?;
    let ledger = files.survey()?;
    let statuses = StatusFiles::new(&arguments.out)?;
    let stored_statuses = statuses.survey()?;
    let leadership = Leadership::alone();
    shared.metrics.leader.set(1);

    let mut tasks = JoinSet::new();
    shared
        .serve(arguments.mesh.metrics, &mut tasks, &stop)
        .await?;
    let (keeper, news) = Keeper::new(
        Volumes::new(&arguments.out),
        shared.keeper_settings(&arguments.mesh, Duration::from_secs(60)),
        shared.wanted.subscribe(),
        leadership.clone(),
        shared.metrics.clone(),
    );
    tasks.spawn(keeper.run(stop.clone()));
    let reports = shared
        .listen(&arguments.mesh, &news, &mut tasks, &stop)
        .await?;

    let (sender, changes) = mpsc::channel::<Change>(source::QUEUE);
    let watched = WatchedDirectory::new(&arguments.manifests);
    tasks.spawn(watch_directory(watched, sender, stop.clone()));
    let summary = shared.summary.subscribe();
    tasks.spawn(announce(summary, news.clone(), stop.clone()));
    let reconciler = Reconciler::new(Parts {
        publisher: files,
        ledger,
        statuses,
        stored_statuses,
        leadership,
        metrics: shared.metrics,
        settings: shared.settings,
        joining: Joining::All,
        wanted: shared.wanted,
        authority: news.authority,
        reports,
        // Nobody asks before a file is written.
        questions: questions().1,
        summary: shared.summary,
        ready: shared.ready,
    });
    tasks.spawn(reconciler.run(changes, stop.clone()));
    finish(tasks, stop).await;
    Ok(())
}

async fn cluster(arguments: ClusterArguments) -> Result<(), RunError> {
    let stop = stop_on_signal()?;
    let config = kube::Config::infer()
        .await
        .map_err(|error| RunError::Client(Box::new(error)))?;
    let client =
        kube::Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))?;
    let shared = Shared::new(&arguments.mesh, &arguments.namespace)?;
    let (term, leadership) = Leadership::new();

    let mut tasks = JoinSet::new();
    shared
        .serve(arguments.mesh.metrics, &mut tasks, &stop)
        .await?;
    // The lease is given back when everything that writes has ended.
    let written = CancellationToken::new();
    let election = Election::new(
        client.clone(),
        &arguments.namespace,
        identity(),
        Timing::lasting(arguments.lease_duration),
        term,
        shared.metrics.clone(),
    );
    let election = tokio::spawn(election.run(written.clone()));

    let (keeper, news) = Keeper::new(
        Secrets::new(
            client.clone(),
            &arguments.namespace,
            &arguments.config_namespace,
        ),
        shared.keeper_settings(&arguments.mesh, Duration::from_secs(300)),
        shared.wanted.subscribe(),
        leadership.clone(),
        shared.metrics.clone(),
    );
    tasks.spawn(keeper.run(stop.clone()));
    let reports = shared
        .listen(&arguments.mesh, &news, &mut tasks, &stop)
        .await?;
    let (asking, asked) = questions();
    shared
        .admit(&arguments, &client, asking, &leadership, &mut tasks, &stop)
        .await?;

    tasks.spawn(accept_classes(
        client.clone(),
        leadership.clone(),
        stop.clone(),
    ));
    let (sender, changes) = mpsc::channel::<Change>(source::QUEUE);
    tasks.spawn(source::watch(
        client.clone(),
        arguments.config_namespace.clone(),
        sender,
        shared.metrics.clone(),
        stop.clone(),
    ));
    let reconciler = Reconciler::new(Parts {
        publisher: ConfigMaps::new(client.clone(), &arguments.config_namespace),
        ledger: Ledger::default(),
        statuses: StatusApi::new(client),
        stored_statuses: HashMap::new(),
        leadership,
        metrics: shared.metrics,
        settings: shared.settings,
        joining: Joining::Labelled,
        wanted: shared.wanted,
        authority: news.authority,
        reports,
        questions: asked,
        summary: shared.summary,
        ready: shared.ready,
    });
    tasks.spawn(reconciler.run(changes, stop.clone()));
    finish(tasks, stop).await;
    written.cancel();
    if tokio::time::timeout(GRACE, election).await.is_err() {
        tracing::warn!("the lease was not given back in time; it runs out");
    }
    Ok(())
}

/// What both worlds are made of.
struct Shared {
    metrics: Metrics,
    settings: Settings,
    wanted: watch::Sender<crate::identity::Wanted>,
    summary: watch::Sender<Option<Summary>>,
    ready: watch::Sender<bool>,
    /// Whether the webhooks can answer; true where there are none.
    admits: watch::Sender<bool>,
}

impl Shared {
    fn new(mesh: &MeshArguments, root_namespace: &str) -> Result<Self, RunError> {
        Ok(Self {
            metrics: Metrics::new(),
            settings: Settings {
                trust_domain: mesh.trust_domain.clone(),
                cluster_domain: mesh.cluster_domain.clone(),
                root_namespace: root_namespace.to_owned(),
                trust_bundle: String::new(),
                report_to: report_to(mesh, root_namespace)?,
            },
            wanted: watch::channel(None).0,
            summary: watch::channel(None).0,
            ready: watch::channel(false).0,
            admits: watch::channel(true).0,
        })
    }

    /// Serves the reports of proxies, where they are asked.
    async fn listen(
        &self,
        mesh: &MeshArguments,
        news: &KeeperNews,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<Option<mpsc::Receiver<Told>>, RunError> {
        let (Some(address), Some(ours)) = (mesh.reports, &self.settings.report_to) else {
            return Ok(None);
        };
        let (reports, serve) = reports::listen(
            address,
            ours.identity.clone(),
            news.authority.clone(),
            self.metrics.clone(),
            stop.clone(),
        )
        .await?;
        tasks.spawn(serve);
        Ok(Some(reports))
    }

    fn keeper_settings(&self, mesh: &MeshArguments, recheck: Duration) -> KeeperSettings {
        KeeperSettings {
            trust_domain: mesh.trust_domain.clone(),
            lifetime: mesh.leaf_lifetime,
            recheck,
        }
    }

    async fn serve(
        &self,
        address: Option<SocketAddr>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        if let Some(address) = address {
            let ready = [self.ready.subscribe(), self.admits.subscribe()];
            tasks.spawn(serve(address, self.metrics.clone(), ready, stop.clone()).await?);
        }
        Ok(())
    }
}

impl Shared {
    /// Serves the webhooks.
    async fn admit(
        &self,
        arguments: &ClusterArguments,
        client: &kube::Client,
        questions: Questions,
        leadership: &Leadership,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let wanted = &arguments.webhook;
        let Some(address) = wanted.webhook else {
            return Ok(());
        };
        let service = format!("{}.{}.svc", wanted.webhook_service, arguments.namespace);
        let full = format!("{service}.{}", arguments.mesh.cluster_domain);
        let names = [service, full]
            .into_iter()
            .chain(wanted.webhook_names.iter().cloned())
            .collect();
        let settings = weft_inject::Settings {
            image: wanted.proxy_image.clone(),
            image_pull_policy: wanted.proxy_image_pull_policy.clone(),
            config_namespace: arguments.config_namespace.clone(),
        };
        let serving = webhook::Serving::default();
        let router = webhook::router(settings, questions, self.metrics.clone());
        tasks.spawn(webhook::serve(address, router, serving.clone(), stop.clone()).await?);
        let (roots, bundle) = watch::channel(None);
        self.admits.send_replace(false);
        let (admits, mut issued) = (self.admits.clone(), bundle.clone());
        tasks.spawn(async move {
            if issued.wait_for(Option::is_some).await.is_ok() {
                admits.send_replace(true);
            }
        });
        tasks.spawn(webhook::keep_certificate(
            Secrets::new(
                client.clone(),
                &arguments.namespace,
                &arguments.config_namespace,
            ),
            arguments.mesh.trust_domain.clone(),
            names,
            wanted.webhook_certificate_lifetime,
            serving,
            roots,
            stop.clone(),
        ));
        tasks.spawn(webhook::keep_bundle(
            client.clone(),
            bundle,
            leadership.clone(),
            stop.clone(),
        ));
        Ok(())
    }
}

/// Where proxies report, and whom they expect there.
fn report_to(mesh: &MeshArguments, namespace: &str) -> Result<Option<ReportTo>, RunError> {
    let Some(listen) = mesh.reports else {
        return Ok(None);
    };
    let ip = mesh.reports_ip.unwrap_or(listen.ip());
    if ip.is_unspecified() || listen.port() == 0 {
        return Err(RunError::NoAddress(listen));
    }
    Ok(Some(ReportTo {
        address: SocketAddr::new(ip, listen.port()),
        identity: SpiffeId::new(&mesh.trust_domain, namespace, ACCOUNT)?,
    }))
}

/// Prints the one line that says that documents and identities are there.
async fn announce(
    mut summary: watch::Receiver<Option<Summary>>,
    mut news: KeeperNews,
    stop: CancellationToken,
) {
    let both = async {
        let Ok(Some(summary)) = summary.wait_for(Option::is_some).await.map(|s| *s) else {
            return;
        };
        // An account that cannot have an identity is in the log; it does not hold up the rest.
        let settled = news.settled.wait_for(|settled| *settled);
        let _ = tokio::time::timeout(GRACE, settled).await;
        let mut out = std::io::stdout().lock();
        let line = format!(
            "ready documents={} objects={} problems={}",
            summary.documents, summary.objects, summary.problems
        );
        // Nobody reads it: then nobody waits for it either.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = both => {}
    }
}

fn stop_on_signal() -> Result<CancellationToken, RunError> {
    let refused = |source| RunError::System {
        what: "signals cannot be received",
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopping.cancel();
    });
    Ok(stop)
}

/// Waits for the signal, then for everything to end, for a bounded time. A task that ends by
/// itself takes the process with it: half an operator is worse than one that is started again.
async fn finish(mut tasks: JoinSet<()>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "a part of the operator broke");
                    stop.cancel();
                }
            }
        }
    }
    stop.cancel();
    let ended = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!("not everything ended in time");
        tasks.abort_all();
    }
}

/// A name that no other operator has, nor this one after a restart.
fn identity() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "weft-operator".to_owned());
    format!("{host}_{:016x}", fastrand::u64(..))
}
