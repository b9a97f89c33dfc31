//! A folder that goes away with the process, however the process ends.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::Error;

/// Removes the folder when its standard input ends, which the kernel brings about even where this
/// process was killed. Interrupts meant for the test are not meant for the one who cleans up. It
/// tries again because etcd may write its last file a moment after its parent has died.
const CLEANER: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for try in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 1; done
"#;

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct WorkDir {
    path: PathBuf,
    cleaner: Child,
}

impl WorkDir {
    pub(super) fn create() -> Result<Self, Error> {
        let path = tempfile::Builder::new()
            .prefix("weft-control-plane.")
            // It holds private keys.
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .map(tempfile::TempDir::keep)
            .map_err(|source| Error::Files {
                path: std::env::temp_dir(),
                source,
            })?;
        match start_cleaner(&path) {
            Ok(cleaner) => Ok(Self { path, cleaner }),
            Err(source) => {
                let _ = fs::remove_dir_all(&path);
                Err(Error::Files { path, source })
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        let _ = self.cleaner.wait();
    }
}

fn start_cleaner(path: &Path) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", CLEANER, "weft-e2e-cleaner"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}
