//! Where built binaries are kept, and how long each build took.

use std::{
    env,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Error, Tool};

/// A build by another process may take as long as a build of our own.
const LOCK_BOUND: Duration = Duration::from_secs(45 * 60);

/// The folder of built binaries, shared by every checkout of this user.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache that the environment names: `$WEFT_CACHE`, else `~/.cache/weft`. Creates it.
    ///
    /// # Errors
    /// Where neither variable is set, or the folder cannot be made.
    pub fn open() -> Result<Self, Error> {
        let root = match env::var_os("WEFT_CACHE").filter(|value| !value.is_empty()) {
            Some(root) => PathBuf::from(root),
            None => {
                PathBuf::from(env::var_os("HOME").ok_or(Error::NoCacheDir)?).join(".cache/weft")
            }
        };
        Self::at(root)
    }

    /// The cache at `root`. Creates it.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn at(root: PathBuf) -> Result<Self, Error> {
        for dir in ["bin", "log"] {
            let path = root.join(dir);
            fs::create_dir_all(&path).map_err(|source| Error::Cache { path, source })?;
        }
        Ok(Self { root })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `tool` stands once built.
    #[must_use]
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.root.join("bin").join(key(tool))
    }

    /// Where `tool` stands, if it has been built.
    #[must_use]
    pub fn lookup(&self, tool: Tool) -> Option<PathBuf> {
        Some(self.path(tool)).filter(|path| path.is_file())
    }

    /// Where the output of building `tool` goes.
    #[must_use]
    pub fn log(&self, tool: Tool) -> PathBuf {
        self.root.join("log").join(format!("{}.log", key(tool)))
    }

    /// How long the last build of `tool` took on this machine, if one is known.
    #[must_use]
    pub fn last_build(&self, tool: Tool) -> Option<Duration> {
        let text = fs::read_to_string(self.timing(tool)).ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Notes how long a build of `tool` took. A note that cannot be written costs a user an
    /// estimate, not the build.
    pub(super) fn note_build(&self, tool: Tool, took: Duration) {
        let _ = fs::write(self.timing(tool), format!("{}\n", took.as_secs()));
    }

    /// Puts a finished file in its place, whole or not at all.
    pub(super) fn install(&self, tool: Tool, built: &Path) -> Result<PathBuf, Error> {
        let path = self.path(tool);
        match fs::rename(built, &path) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Cache { path, source }),
        }
    }

    /// Holds the one lock under which anything is built, so that two test runs started together
    /// build once. `waiting` is called once when another process holds it.
    pub(super) fn lock(&self, waiting: impl FnOnce(&Path)) -> Result<File, Error> {
        let path = self.root.join("build.lock");
        let failed = |source: io::Error| Error::Cache {
            path: path.clone(),
            source,
        };
        let file = File::create(&path).map_err(failed)?;
        let started = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(waiting) = waiting.take() {
                waiting(&path);
            }
            if started.elapsed() > LOCK_BOUND {
                return Err(Error::TimedOut {
                    what: format!("another process's build (it holds {})", path.display()),
                    minutes: LOCK_BOUND.as_secs() / 60,
                    log: self.root.join("log"),
                });
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn timing(&self, tool: Tool) -> PathBuf {
        self.root.join("log").join(format!("{}.seconds", key(tool)))
    }
}

fn key(tool: Tool) -> String {
    format!("{}-{}", tool.name(), tool.version())
}
