//! From the command line to the last connection.

use std::{
    io::{self, Write},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::LocalSet,
};

use crate::{
    admin::{self, AdminState, LogFilter, Readiness},
    bootstrap::Bootstrap,
    config::{ApiError, ApiFeed, ApiServer, ConfigStore, DirFeed, Keeper, LastGood},
    drain::Drain,
    identity::{IdentityStore, Reloader, ServingCertificates},
    listen::{self, Door, ListenError},
    observe::{
        AccessLog, Metrics, Recorder,
        families::{ACCESS_LOG_DROPPED, CONFIG_INFO},
    },
    report::Reporter,
    resident,
    worker::Worker,
};

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread or runtime cannot be made.
    #[error(
        "the system gives no thread or event loop: {0}; look at the limits of processes and open files"
    )]
    Runtime(io::Error),
    /// The directory of the last good documents cannot be made.
    #[error("--state-dir: {0}; give a directory that this user may write, or leave it out")]
    StateDir(io::Error),
    /// The pod's labels cannot be read.
    #[error("--labels-file: {0}; is the downward API's volume mounted?")]
    Labels(io::Error),
    /// The access log cannot be opened.
    #[error("--access-log: {0}; give `stdout`, `off`, or a file that this user may write")]
    AccessLog(io::Error),
    /// A listener does not stand.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The Kubernetes API cannot be used.
    #[error("--config-api: {0}")]
    Api(#[from] ApiError),
}

/// Runs the proxy to the end of its drain. `log_filter` is what `/logging` calls.
pub fn run(mut bootstrap: Bootstrap, log_filter: LogFilter) -> Result<(), StartError> {
    raise_descriptor_limit();
    bootstrap.read_labels().map_err(StartError::Labels)?;
    let control = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    control.block_on(Box::pin(control_thread(Arc::new(bootstrap), log_filter)))
}

async fn control_thread(
    bootstrap: Arc<Bootstrap>,
    log_filter: LogFilter,
) -> Result<(), StartError> {
    let drain = Drain::default();
    let metrics = Metrics::default();
    let recorder = metrics.recorder();
    let readiness = Readiness::new(drain.clone());
    let dropped = recorder.counter(&ACCESS_LOG_DROPPED, &[]);
    let access_log =
        AccessLog::start(&bootstrap.access_log, dropped).map_err(StartError::AccessLog)?;

    let identity = start_identity(&bootstrap, &recorder);
    let directories = bootstrap.gateway_certificate.iter();
    let directories = directories.map(|own| (own.listener.clone(), own.directory.clone()));
    let certificates = ServingCertificates::start(directories.collect(), &recorder);
    let config = start_config(&bootstrap, &recorder)?;
    let active = config.clone();
    metrics.show(&CONFIG_INFO, move |show| {
        active.each_active(|name, document| show(&[&name.to_string(), &document.digest]));
    });
    if let Some(address) = bootstrap.metrics {
        let listener = listener(address)?;
        tokio::spawn(admin::serve_metrics(
            listener,
            metrics.clone(),
            readiness.clone(),
            (
                bootstrap.probes.clone().unwrap_or_default(),
                bootstrap.pod_ip,
            ),
            bootstrap.header_timeout,
        ));
    }
    if let Some(address) = bootstrap.admin {
        let state = AdminState {
            config: config.clone(),
            identity: identity.clone(),
            drain: drain.clone(),
            log_filter,
        };
        tokio::spawn(admin::serve_local(
            listener(address)?,
            state,
            bootstrap.header_timeout,
        ));
    }
    tokio::spawn(drain_on_signal(drain.clone()));
    if bootstrap.pod.is_empty() {
        tracing::info!("no --pod: what is active is not told to the operator");
    } else {
        let reporter = Reporter::new(
            bootstrap.pod.clone(),
            config.clone(),
            identity.clone(),
            drain.clone(),
            recorder,
        );
        tokio::spawn(reporter.run());
    }

    tokio::select! {
        () = drain.started() => return Ok(()),
        () = until_loaded(&bootstrap, &config, &identity, &certificates) => {}
    }
    // Every socket stands before any worker runs: a port that is taken is an error of the
    // start, with nothing half open behind it.
    let mut workers = Vec::new();
    let doors = listen::doors(&bootstrap);
    for id in 0..bootstrap.worker_count() {
        let listeners = doors
            .iter()
            .map(|door| Ok((door.clone(), listen::bind(door.listen)?)))
            .collect::<Result<Vec<_>, ListenError>>()?;
        workers.push((id, listeners));
    }
    let count = workers.len();
    let threads = workers
        .into_iter()
        .map(|(id, listeners)| {
            let parts = WorkerParts {
                id,
                bootstrap: bootstrap.clone(),
                config: config.clone(),
                identity: identity.clone(),
                certificates: certificates.clone(),
                metrics: metrics.recorder(),
                access_log: access_log.for_thread(),
                drain: drain.clone(),
                listeners,
            };
            parts.start().map_err(StartError::Runtime)
        })
        .collect::<Result<Vec<_>, _>>()?;
    readiness.set_listening();
    tracing::info!(workers = count, listeners = doors.len(), "ready");
    announce(count, doors.len());

    tokio::select! {
        () = drain.started() => {}
        () = resident::release_what_settled(&config) => {}
    }
    let left = wait_for_connections(&drain, bootstrap.drain_timeout).await;
    tracing::info!(connections_cut = left, "drained");
    access_log.flush();
    // The workers' threads end with the process: what they still hold is to be cut.
    drop(threads);
    Ok(())
}

/// Takes every file descriptor that this process may have: a connection is one or two.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

/// One line on standard output, for whoever started the process. It may not be listening.
fn announce(workers: usize, listeners: usize) {
    let line = serde_json::json!({"level": "INFO", "message": "ready", "workers": workers, "listeners": listeners});
    let _ = writeln!(io::stdout(), "{line}");
}

fn listener(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::from_std(listen::bind_exclusive(address)?)
        .map_err(|error| ListenError { address, error })
}

fn start_identity(bootstrap: &Bootstrap, recorder: &Recorder) -> IdentityStore {
    let store = IdentityStore::new(bootstrap.inbound.and(bootstrap.pod_ip));
    if let Some(directory) = bootstrap.identity_dir.clone() {
        let reloader = Reloader::new(
            directory,
            bootstrap.namespace.clone(),
            bootstrap.service_account.clone(),
            store.clone(),
            recorder.clone(),
        );
        tokio::spawn(reloader.run());
    } else {
        tracing::warn!(
            "no --identity-dir: this proxy has no mesh TLS, and meshed endpoints cannot be called"
        );
    }
    store
}

fn start_config(bootstrap: &Bootstrap, recorder: &Recorder) -> Result<ConfigStore, StartError> {
    let last_good = LastGood::new(bootstrap.state_dir.clone()).map_err(StartError::StateDir)?;
    let gateway = bootstrap.gateway.clone();
    let recorder = recorder.clone();
    let workload = bootstrap.workload();
    if let Some(directory) = &bootstrap.config_dir {
        let feed = DirFeed::new(directory.clone());
        let (keeper, store) = Keeper::new(feed, last_good, workload, gateway, recorder);
        tokio::spawn(keeper.run());
        return Ok(store);
    }
    let server = ApiServer::find(bootstrap)?;
    let feed = ApiFeed::new(server, &bootstrap.config_namespace);
    let (keeper, store) = Keeper::new(feed, last_good, workload, gateway, recorder);
    tokio::spawn(keeper.run());
    Ok(store)
}

/// Resolves once everything is there that traffic needs; says every few seconds what is
/// missing.
async fn until_loaded(
    bootstrap: &Bootstrap,
    config: &ConfigStore,
    identity: &IdentityStore,
    certificates: &ServingCertificates,
) {
    let needs_identity = bootstrap.identity_dir.is_some();
    let begin = Instant::now();
    let mut said = Duration::ZERO;
    loop {
        let has_identity = !needs_identity || identity.active().is_some();
        let has_certificates = certificates.are_loaded();
        if has_identity && has_certificates && config.is_complete() {
            return;
        }
        if begin.elapsed() >= said + Duration::from_secs(5) {
            said = begin.elapsed();
            tracing::warn!(
                config = config.is_complete(),
                identity = has_identity,
                certificates = has_certificates,
                "waiting for config and identity; check that the operator runs"
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn drain_on_signal(drain: Drain) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be heard: the process ends without a drain");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("drain begins");
    drain.start();
}

/// Waits for the open connections, at most for `limit`. Gives how many are left.
async fn wait_for_connections(drain: &Drain, limit: Duration) -> u64 {
    let end = Instant::now() + limit;
    // A connection that the kernel has handed over but whose task has not begun is not
    // counted yet: two quiet looks in a row.
    let mut quiet = 0;
    while quiet < 2 && Instant::now() < end {
        quiet = if drain.open_connections() == 0 {
            quiet + 1
        } else {
            0
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drain.open_connections()
}

/// What a worker is made of, on its way to its thread.
struct WorkerParts {
    id: usize,
    bootstrap: Arc<Bootstrap>,
    config: ConfigStore,
    identity: IdentityStore,
    certificates: ServingCertificates,
    metrics: Recorder,
    access_log: AccessLog,
    drain: Drain,
    listeners: Vec<(Door, std::net::TcpListener)>,
}

impl WorkerParts {
    fn start(self) -> io::Result<JoinHandle<()>> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name(format!("worker-{}", self.id))
            .spawn(move || {
                let local = LocalSet::new();
                runtime.block_on(local.run_until(self.serve()));
                // The doors are closed; what they let in goes on until the process ends.
                runtime.block_on(local);
            })
    }

    async fn serve(self) {
        let permits = Arc::new(Semaphore::new(self.bootstrap.max_connections.max(1)));
        let worker = Worker::new(
            self.id,
            self.bootstrap,
            self.config,
            (self.identity, self.certificates),
            self.metrics,
            self.access_log,
            self.drain,
        );
        let doors = self.listeners.into_iter().map(|(door, listener)| {
            listen::serve(worker.clone(), Rc::new(door), listener, permits.clone())
        });
        futures::future::join_all(doors).await;
    }
}
