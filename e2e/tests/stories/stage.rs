//! What every story stands on: a cluster with the mesh, namespaces of its own, and kubectl.

use std::{
    cell::RefCell,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::Value;
use weft_e2e::{cluster::Cluster, control_plane::Kubectl};

/// How a story ends: its promise is kept, or why not.
pub(crate) type Told<T = ()> = Result<T, String>;

/// Seconds here; a machine that does something else takes longer.
pub(crate) const BOUND: Duration = Duration::from_secs(90);

/// Fails a story unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use ensure;

pub(crate) struct Stage {
    cluster: Rc<Cluster>,
    namespaces: RefCell<Vec<String>>,
    measured: Rc<RefCell<Vec<String>>>,
    why_not: RefCell<Option<String>>,
}

impl Stage {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self {
            cluster: Rc::new(cluster),
            namespaces: RefCell::default(),
            measured: Rc::default(),
            why_not: RefCell::default(),
        }
    }

    /// Another stage on the same cluster, for stories that are told at the same time.
    pub(crate) fn beside(&self) -> Self {
        Self {
            cluster: Rc::clone(&self.cluster),
            namespaces: RefCell::default(),
            measured: Rc::clone(&self.measured),
            why_not: RefCell::default(),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A story that cannot be told on this cluster says why, and ends.
    pub(crate) fn not_told(&self, why: &str) -> Told {
        *self.why_not.borrow_mut() = Some(why.to_owned());
        Ok(())
    }

    pub(crate) fn why_not(&self) -> Option<String> {
        self.why_not.take()
    }

    /// kubectl, for what ends within [`BOUND`].
    pub(crate) fn kubectl(&self) -> Kubectl {
        self.cluster.kubectl().clone().within(BOUND)
    }

    /// What `kubectl` with these arguments prints.
    pub(crate) async fn run(&self, args: &[&str]) -> Told<String> {
        self.run_within(args, BOUND).await
    }

    /// The same for a command that takes long.
    pub(crate) async fn run_within(&self, args: &[&str], bound: Duration) -> Told<String> {
        match self.kubectl().within(bound).run(args).await {
            Ok(printed) => Ok(printed.stdout),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The same, as JSON.
    pub(crate) async fn get(&self, args: &[&str]) -> Told<Value> {
        let args: Vec<&str> = ["get", "-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.run(&args).await?).map_err(text)
    }

    /// `kubectl apply --server-side -f -`. Says when the API server had it.
    pub(crate) async fn apply(&self, manifest: &str) -> Told<Instant> {
        // As any user's: what another field manager set is taken over knowingly.
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl()
            .run_with_input(&args, manifest)
            .await
            .map_err(text)?;
        Ok(Instant::now())
    }

    /// `kubectl delete --ignore-not-found -f -`.
    pub(crate) async fn delete(&self, manifest: &str) -> Told {
        let args = ["delete", "--ignore-not-found", "-f", "-"];
        self.kubectl()
            .run_with_input(&args, manifest)
            .await
            .map_err(text)?;
        Ok(())
    }

    /// [`Self::apply`]; gives what the API server had to say about it.
    pub(crate) async fn apply_and_listen(&self, manifest: &str) -> Told<String> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let printed = self.kubectl().run_with_input(&args, manifest).await;
        Ok(printed.map_err(text)?.stderr)
    }

    /// A namespace of the story's own, in the mesh or outside. It goes with the story.
    pub(crate) async fn namespace(&self, name: &str, meshed: bool) -> Told {
        self.goes_with_the_story(name);
        let inject = if meshed { "enabled" } else { "disabled" };
        self.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{weft.dev/inject: {inject}}}}}\n"
        ))
        .await?;
        Ok(())
    }

    /// Has the namespace deleted when the story has ended.
    pub(crate) fn goes_with_the_story(&self, namespace: &str) {
        self.namespaces.borrow_mut().push(namespace.to_owned());
    }

    /// Waits until every Deployment of a namespace is as it should be.
    pub(crate) async fn rolled_out(&self, namespace: &str) -> Told {
        let all = self
            .run(&["-n", namespace, "get", "deployments", "-o", "name"])
            .await?;
        for deployment in all.lines() {
            let args = [
                "-n",
                namespace,
                "rollout",
                "status",
                deployment,
                "--timeout=80s",
            ];
            self.run(&args).await?;
        }
        Ok(())
    }

    /// Applies `config/` where no mesh is installed, and waits until it stands. `rotating`: with
    /// identities that live for a minute, on a cluster of our own.
    pub(crate) async fn install(&self, rotating: bool) -> Told {
        let there = self
            .run(&[
                "-n",
                "weft-system",
                "get",
                "deployment",
                "weft-operator",
                "-o",
                "name",
            ])
            .await;
        if there.is_err() || !self.cluster.is_current() {
            let started = Instant::now();
            if rotating && !self.cluster.is_current() {
                self.apply_folder("e2e/tests/stories/rotating").await?;
            } else {
                self.apply_config().await?;
            }
            self.rolled_out("weft-system").await?;
            self.note(format!(
                "install: from apply to two operators ready {:.1} s",
                seconds(started)
            ));
        }
        self.rolled_out("weft-system").await
    }

    /// Brings the mesh back to what `config/` says, and waits until it stands.
    pub(crate) async fn install_again(&self) -> Told {
        self.apply_config().await?;
        self.rolled_out("weft-system").await
    }

    /// `kubectl apply --server-side -k config/`.
    pub(crate) async fn apply_config(&self) -> Told {
        self.apply_folder("config").await
    }

    /// The first time, a kind may not be served yet when an object of it arrives; a user runs the
    /// command again, and so does this.
    async fn apply_folder(&self, folder: &str) -> Told {
        let folder = repository().join(folder);
        let folder = folder.to_string_lossy();
        let args = ["apply", "--server-side", "-k", &folder];
        eventually("the mesh is applied", async || self.run(&args).await).await?;
        Ok(())
    }

    /// A measurement, printed at the end.
    pub(crate) fn note(&self, line: String) {
        self.measured.borrow_mut().push(line);
    }

    pub(crate) fn measured(&self) -> Vec<String> {
        self.measured.take()
    }

    /// Deletes the story's namespaces, and waits until they are gone.
    pub(crate) async fn clear(&self) {
        let namespaces = self.namespaces.take();
        if namespaces.is_empty() {
            return;
        }
        let mut args = vec!["delete", "namespace", "--ignore-not-found", "--timeout=80s"];
        args.extend(namespaces.iter().map(String::as_str));
        if let Err(error) = self.run(&args).await {
            self.note(format!("left over: {error}"));
        }
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository, such as a sample.
pub(crate) fn file(path: &str) -> Told<String> {
    let path = repository().join(path);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}

pub(crate) fn seconds(since: Instant) -> f32 {
    since.elapsed().as_secs_f32()
}

/// Tries until it succeeds.
pub(crate) async fn eventually<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Told<T>,
) -> Told<T> {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(last) if started.elapsed() > BOUND => {
                return Err(format!("{what}: not within {BOUND:?}; last: {last}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
