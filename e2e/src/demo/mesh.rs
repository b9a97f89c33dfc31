//! The running mesh: an operator, a service and a proxy per pod, and a gateway.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use super::{
    DemoError, Options,
    child::Child,
    clients::Clients,
    layout::{self, LEDGER_PORT, NAMESPACE, Workload},
    report::Report,
};

/// Everything is ready within this time, or something is wrong.
const READY: Duration = Duration::from_secs(30);

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(20);

/// The mesh and everything that it started.
#[derive(Debug)]
pub(super) struct Mesh {
    directory: TempDir,
    programs: PathBuf,
    workloads: BTreeMap<String, Workload>,
    operator: Option<Child>,
    services: BTreeMap<String, Child>,
    proxies: BTreeMap<String, Child>,
    /// Held as long as the addresses are used.
    _lock: Flock<fs::File>,
}

impl Mesh {
    /// Copies the samples and reads the pods; starts nothing.
    pub(super) fn prepare(options: &Options) -> Result<Self, DemoError> {
        let lock = lock()?;
        let directory = tempfile::Builder::new()
            .prefix("weft-demo-")
            .tempdir()
            .map_err(|source| DemoError::File {
                path: std::env::temp_dir(),
                source,
            })?;
        let manifests = directory.path().join("manifests");
        copy(&options.samples, &manifests)?;
        for name in ["out", "logs", "state"] {
            create(&directory.path().join(name))?;
        }
        let mut workloads: BTreeMap<_, _> = layout::read(&manifests.join("standalone/pods.yaml"))?
            .into_iter()
            .map(|workload| (workload.name.clone(), workload))
            .collect();
        let gateway = Workload::gateway();
        workloads.insert(gateway.name.clone(), gateway);
        let programs = match &options.bin_dir {
            Some(directory) => directory.clone(),
            None => std::env::current_exe()
                .ok()
                .and_then(|program| program.parent().map(Path::to_owned))
                .unwrap_or_default(),
        };
        Ok(Self {
            directory,
            programs,
            workloads,
            operator: None,
            services: BTreeMap::new(),
            proxies: BTreeMap::new(),
            _lock: lock,
        })
    }

    /// Starts everything and waits until it is ready.
    pub(super) async fn start(
        &mut self,
        clients: &Clients,
        report: &Report,
    ) -> Result<(), DemoError> {
        let began = Instant::now();
        let line = self.start_operator().await?;
        report.step("operator", began.elapsed(), &line);

        let workloads: Vec<Workload> = self.workloads.values().cloned().collect();
        let began = Instant::now();
        for workload in &workloads {
            self.start_service(workload)?;
        }
        for workload in &workloads {
            let address = workload.health();
            let child = self.services.get(&workload.name);
            until_ready(child, async || clients.is_ok(address, "/readyz").await).await?;
        }
        let count = format!("{} services", self.services.len());
        report.step("bookstore", began.elapsed(), &count);

        let began = Instant::now();
        for workload in &workloads {
            self.start_proxy(workload)?;
        }
        for workload in &workloads {
            self.proxy_ready(workload, clients).await?;
        }
        let count = format!("{} proxies, one of them the gateway", self.proxies.len());
        report.step("proxies", began.elapsed(), &count);
        Ok(())
    }

    /// Starts the operator; its `ready` line.
    pub(super) async fn start_operator(&mut self) -> Result<String, DemoError> {
        let arguments: Vec<OsString> = vec![
            "standalone".into(),
            "--manifests".into(),
            self.manifests().into(),
            "--out".into(),
            self.directory.path().join("out").into(),
        ];
        let log = self.log("operator");
        // A second start appends: only what comes after this counts.
        let before = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let before = usize::try_from(before).unwrap_or(0);
        let program = self.programs.join("weft-operator");
        let child = self
            .operator
            .insert(Child::start("operator", &program, arguments, log)?);
        let deadline = Instant::now() + READY;
        loop {
            let output = child.output(before);
            if let Some(line) = output.lines().find(|line| line.starts_with("ready ")) {
                return Ok(line.to_owned());
            }
            child.still_runs()?;
            if Instant::now() > deadline {
                return Err(child.error("was not ready within 30 s"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGKILL to the operator, by its id; returns the id.
    pub(super) fn kill_operator(&mut self) -> Option<u32> {
        let mut operator = self.operator.take()?;
        operator.kill();
        Some(operator.id())
    }

    fn start_service(&mut self, workload: &Workload) -> Result<(), DemoError> {
        if workload.arguments.is_empty() || workload.port.is_none() {
            return Ok(());
        }
        let mut arguments = workload.arguments.clone();
        for (flag, value) in [
            ("--listen", workload.service().to_string()),
            ("--health", workload.health().to_string()),
            ("--via", workload.outbound().to_string()),
            ("--instance", workload.name.clone()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        if arguments.first().is_some_and(|role| role == "storefront") {
            arguments.extend(["--ledger".to_owned(), workload.ledger().to_string()]);
        }
        let program = self.programs.join("bookstore");
        let log = self.log(&workload.name);
        let child = Child::start(&workload.name, &program, arguments, log)?;
        self.services.insert(workload.name.clone(), child);
        Ok(())
    }

    /// Starts the proxy beside a workload.
    pub(super) fn start_proxy(&mut self, workload: &Workload) -> Result<(), DemoError> {
        let out = self.directory.path().join("out");
        let identity = out
            .join("identities")
            .join(NAMESPACE)
            .join(&workload.service_account);
        let state = self.directory.path().join("state").join(&workload.name);
        create(&state)?;
        let mut arguments: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        flag("--namespace", NAMESPACE.into());
        flag("--service-account", workload.service_account.clone().into());
        flag("--pod", workload.name.clone().into());
        if !workload.labels.is_empty() {
            flag("--labels", workload.label_list().into());
        }
        flag("--config-dir", out.join("config").into());
        flag("--identity-dir", identity.into());
        flag("--state-dir", state.into());
        // Ten proxies share this machine's cores.
        flag("--workers", "1".into());
        flag("--metrics", workload.metrics().to_string().into());
        flag("--admin", workload.admin().to_string().into());
        flag("--access-log", "stdout".into());
        flag("--drain-timeout", "2s".into());
        if workload.name == Workload::gateway().name {
            flag("--gateway", format!("{NAMESPACE}/public").into());
            flag(
                "--gateway-bind",
                format!("{}=http", workload.front()).into(),
            );
        } else {
            flag("--outbound", workload.outbound().to_string().into());
            let ledger = format!("{}={NAMESPACE}/ledger:{LEDGER_PORT}", workload.ledger());
            flag("--outbound-bind", ledger.into());
        }
        if workload.port.is_some() {
            let bind = format!("{}={}", workload.inbound(), workload.service());
            flag("--inbound-bind", bind.into());
        }
        let name = format!("proxy of {}", workload.name);
        let log = self.log(&format!("{}-proxy", workload.name));
        let program = self.programs.join("weft-proxy");
        let child = Child::start(&name, &program, arguments, log)?;
        self.proxies.insert(workload.name.clone(), child);
        Ok(())
    }

    /// Waits until a proxy says that it is ready.
    pub(super) async fn proxy_ready(
        &mut self,
        workload: &Workload,
        clients: &Clients,
    ) -> Result<(), DemoError> {
        let address = workload.metrics();
        let child = self.proxies.get(&workload.name);
        until_ready(child, async || clients.is_ok(address, "/ready").await).await
    }

    /// A pod of the samples.
    pub(super) fn workload(&self, name: &str) -> Result<Workload, DemoError> {
        self.workloads
            .get(name)
            .cloned()
            .ok_or_else(|| DemoError::Manifest {
                path: self.manifests().join("standalone/pods.yaml"),
                reason: format!("there is no Pod {name}, which the tour needs"),
            })
    }

    /// The copy of the samples that the operator watches.
    pub(super) fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory
            .path()
            .join("logs")
            .join(format!("{name}.log"))
    }

    /// Ends everything: gateway and clients first would be polite, but all at once is quick
    /// and each drains by itself.
    pub(super) fn stop(&mut self) {
        let mut children: Vec<Child> = Vec::new();
        children.extend(std::mem::take(&mut self.proxies).into_values());
        children.extend(std::mem::take(&mut self.services).into_values());
        children.extend(self.operator.take());
        for child in &children {
            child.ask_to_end();
        }
        for child in &mut children {
            child.ended();
        }
    }

    /// Leaves the directory behind.
    pub(super) fn keep(mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}

async fn until_ready(
    child: Option<&Child>,
    ready: impl AsyncFn() -> bool,
) -> Result<(), DemoError> {
    let Some(child) = child else { return Ok(()) };
    let deadline = Instant::now() + READY;
    while !ready().await {
        child.still_runs()?;
        if Instant::now() > deadline {
            return Err(child.error("was not ready within 30 s"));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Two demos would share addresses, and proxies that share a port share its connections.
fn lock() -> Result<Flock<fs::File>, DemoError> {
    let path = std::env::temp_dir().join("weft-demo.lock");
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|source| DemoError::File {
            path: path.clone(),
            source,
        })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| DemoError::Busy(path))
}

fn create(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(|source| DemoError::File {
        path: path.to_owned(),
        source,
    })
}

/// Copies the YAML below `from`, directories included.
fn copy(from: &Path, to: &Path) -> Result<(), DemoError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::File { path, source }
    };
    create(to)?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else if source.extension().is_some_and(|kind| kind == "yaml") {
            fs::copy(&source, &target).map_err(failed(&source))?;
        }
    }
    Ok(())
}
