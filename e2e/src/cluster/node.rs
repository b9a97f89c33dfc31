//! Starts Kubernetes in the cluster's namespaces, and stays as long as it does.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

use super::{
    Error, components, dns, images, network,
    part::Part,
    place::{self, NODE, NODE_ADDRESS, Ready},
};
use crate::control_plane::{
    Kubectl,
    process::{Process, tail},
    servers::{Servers, log},
};

/// Each step takes seconds here; a machine that builds at the same time takes longer.
const STEP_BOUND: Duration = Duration::from_secs(120);

/// What the node is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Folders of OCI archives that the node has as images
    #[arg(long, value_name = "DIR")]
    pub images: Vec<PathBuf>,
    /// End when standard input does
    #[arg(long)]
    pub tied: bool,
}

/// Runs until it is told to end or a part of the cluster ends. In no particular order then: what
/// ends process 1 ends them all, and nothing of them is kept.
///
/// # Errors
/// Which part did not start, or ended, with the end of its log.
pub async fn run(options: Options) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(Error::files("cannot receive signals", place::DIR))?;
    let told_to_end = async {
        if options.tied {
            end_of_stdin().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = start_and_watch(&options) => ended,
        _ = terminate.recv() => Ok(()),
        () = told_to_end => Ok(()),
    }
}

/// Standard input is a pipe whose other end closes with whoever holds the cluster.
async fn end_of_stdin() {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

async fn start_and_watch(options: &Options) -> Result<(), Error> {
    let started = Instant::now();
    let (mut api_server, processes) = start(options, started).await?;
    loop {
        api_server.attend()?;
        for process in &processes {
            check(process)?;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn start(options: &Options, started: Instant) -> Result<(Part, Vec<Process>), Error> {
    let dir = place::dir();
    network::settle(STEP_BOUND)?;
    let (servers, kubectl) = Servers::find()?;
    let servers = servers.for_nodes(NODE_ADDRESS);
    let pki = Arc::new(components::credentials(&servers.url())?);
    let kubeconfig = components::kubeconfig_of("admin");
    let kubectl = Kubectl::new(&kubectl, &kubeconfig, dir).within(STEP_BOUND);
    let etcd = servers.start_etcd(&pki, dir)?;
    let (again, keys) = (servers.clone(), Arc::clone(&pki));
    let api_server = Part::new(Box::new(move || again.start_api_server(&keys, dir)))?;
    let containerd = components::containerd()?;
    import_all(options, &containerd).await?;
    servers
        .wait_ready(api_server.process(), Some(&etcd), &kubeconfig, STEP_BOUND)
        .await?;
    say(started, "kube-apiserver is ready");
    let processes = vec![
        etcd,
        components::controller_manager(&pki)?,
        components::scheduler()?,
        components::kubelet(&pki)?,
        components::kube_proxy()?,
        containerd,
    ];
    let node = format!("node/{NODE}");
    until("a node that is ready", &processes, || async {
        kubectl
            .run(&["wait", "--for=condition=Ready", "--timeout=5s", &node])
            .await
            .map_err(|error| error.to_string())
    })
    .await?;
    say(started, "the node is ready");
    until("the DNS of the cluster", &processes, || async {
        let apply = ["apply", "--server-side", "-f", "-"];
        kubectl
            .run_with_input(&apply, dns::MANIFEST)
            .await
            .map_err(|error| error.to_string())
    })
    .await?;
    until("the DNS of the cluster", &processes, || async {
        let rollout = [
            "-n",
            "kube-system",
            "rollout",
            "status",
            "deployment/coredns",
            "--timeout=10s",
        ];
        kubectl
            .run(&rollout)
            .await
            .map_err(|error| error.to_string())
    })
    .await?;
    say(started, "names resolve; the cluster is up");
    Ready {
        kubeconfig,
        kubectl: kubectl.path().to_owned(),
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
    .write()
    .map_err(Error::files("cannot say that the cluster is up", dir))?;
    Ok((api_server, processes))
}

async fn import_all(options: &Options, containerd: &Process) -> Result<(), Error> {
    let mut archives = images::of_the_node()?;
    archives.extend(options.images.iter().flat_map(|dir| images::in_dir(dir)));
    let socket = place::containerd_socket();
    let from = Instant::now();
    for archive in archives {
        // The first import waits for containerd to listen.
        loop {
            check(containerd)?;
            let archive = archive.clone();
            let imported = tokio::task::spawn_blocking(move || images::import(&archive)).await;
            match imported {
                Ok(Ok(())) => break,
                Ok(Err(error)) if socket.exists() && from.elapsed() > STEP_BOUND => {
                    return Err(error);
                }
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    }
    Ok(())
}

/// Tries until it succeeds, as long as every part of the cluster runs.
async fn until<T, F>(what: &str, processes: &[Process], mut attempt: F) -> Result<(), Error>
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let from = Instant::now();
    loop {
        let last = match attempt().await {
            Ok(_) => return Ok(()),
            Err(last) => last,
        };
        for process in processes {
            check(process)?;
        }
        if from.elapsed() > STEP_BOUND {
            return Err(Error::Late {
                what: what.to_owned(),
                after: STEP_BOUND,
                last,
                log: place::dir().to_owned(),
            });
        }
        sleep(Duration::from_millis(100)).await;
    }
}

pub(super) fn check(process: &Process) -> Result<(), Error> {
    let Some(status) = process.exited() else {
        return Ok(());
    };
    let log = log(place::dir(), process.name());
    Err(Error::Ended {
        part: process.name(),
        status,
        tail: tail(&log, 15),
        log,
    })
}

fn say(started: Instant, what: &str) {
    let seconds = started.elapsed().as_secs_f32();
    let _ = writeln!(io::stderr(), "weft: {what} ({seconds:.1} s)");
}
