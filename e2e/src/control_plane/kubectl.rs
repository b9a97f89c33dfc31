//! kubectl, as a user runs it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

use super::Error;

/// What a command gets, unless it is told that it may wait longer.
const BOUND: Duration = Duration::from_secs(60);

/// kubectl with one kubeconfig, and a home of its own so that neither the user's configuration
/// nor the user's discovery cache takes part.
#[derive(Debug, Clone)]
pub struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    bound: Duration,
}

impl Kubectl {
    pub(crate) fn new(binary: &Path, kubeconfig: &Path, home: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            home: home.to_owned(),
            bound: BOUND,
        }
    }

    /// The same with another bound on how long a command may take; a minute where none is given.
    #[must_use]
    pub fn within(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// The same with another kubeconfig.
    #[must_use]
    pub fn with_kubeconfig(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// Where the executable stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.binary
    }

    fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts kubectl for what it prints over time. It ends with the child, or by itself.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn watch<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Child, Error> {
        self.command(args)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::Files {
                path: self.binary.clone(),
                source,
            })
    }

    /// Runs kubectl and returns what it printed. Warnings of the API server follow in
    /// [`Printed::stderr`].
    ///
    /// # Errors
    /// Where it ends with a failure, with its message, or not within its bound.
    pub async fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Printed, Error> {
        self.run_with_input(args, "").await
    }

    /// Runs kubectl with `input` as its standard input, for `-f -`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: &[A],
        input: &str,
    ) -> Result<Printed, Error> {
        let failed = |status: String, stderr: String| Error::Kubectl {
            args: args
                .iter()
                .map(|arg| arg.as_ref().to_string_lossy())
                .collect::<Vec<_>>()
                .join(" "),
            status,
            stderr,
        };
        let broken = |error: std::io::Error| failed("not run".to_owned(), error.to_string());
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // kubectl that ends before it has read everything says why itself.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = timeout(self.bound, async {
            tokio::join!(feed, child.wait_with_output())
        })
        .await
        .map_err(|_| {
            failed(
                "stopped".to_owned(),
                format!("no end within {:?}", self.bound),
            )
        })?;
        let output = output.map_err(broken)?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() {
            Ok(Printed {
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr,
            })
        } else {
            Err(failed(output.status.to_string(), stderr))
        }
    }
}

/// What a successful kubectl printed.
#[derive(Debug, Clone)]
pub struct Printed {
    /// Its answer.
    pub stdout: String,
    /// Warnings.
    pub stderr: String,
}
