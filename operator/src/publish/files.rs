use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use weft_engine::documents::{DocumentName, Envelope};

use super::{Ledger, Observation, PublishError, Publisher};

/// Documents as files `<name>.json` in one directory.
#[derive(Clone, Debug)]
pub struct Files {
    directory: Arc<PathBuf>,
}

impl Files {
    /// Documents in `out/config`, which is created if need be.
    pub fn new(out: &Path) -> Result<Self, PublishError> {
        let directory = out.join("config");
        fs::create_dir_all(&directory).map_err(failed(&directory))?;
        Ok(Self {
            directory: Arc::new(directory),
        })
    }

    /// What an earlier life left: each file is read whole and checked, so that one that was cut
    /// short or edited is written again.
    pub fn survey(&self) -> Result<Ledger, PublishError> {
        let mut ledger = Ledger::default();
        let entries = fs::read_dir(&*self.directory).map_err(failed(&self.directory))?;
        for entry in entries {
            let path = entry.map_err(failed(&self.directory))?.path();
            let Some(stem) = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            let Ok(name) = stem.parse::<DocumentName>() else {
                continue;
            };
            let digest = fs::read_to_string(&path)
                .ok()
                .and_then(|text| Envelope::from_json(&text).ok())
                .map(|envelope| envelope.digest);
            // An empty digest is no document's: it differs from whatever belongs there.
            ledger.observe(Observation {
                name,
                digest: Some(digest.unwrap_or_default()),
                version: 0,
            });
        }
        Ok(ledger)
    }

    fn path(&self, name: &DocumentName) -> Result<PathBuf, PublishError> {
        let name = name.to_string();
        if name.contains(['/', '\0']) {
            // Names come from namespaces and names, which the source has checked.
            let source = io::Error::new(io::ErrorKind::InvalidInput, "not a file name");
            return Err(PublishError::File { path: name, source });
        }
        Ok(self.directory.join(format!("{name}.json")))
    }
}

impl Publisher for Files {
    async fn write(
        &self,
        name: &DocumentName,
        envelope: &Envelope,
    ) -> Result<(Option<u64>, usize), PublishError> {
        let path = self.path(name)?;
        let text = envelope.to_json();
        let bytes = text.len();
        blocking(path, move |path| replace(path, &text)).await?;
        Ok((None, bytes))
    }

    async fn withdraw(&self, name: &DocumentName) -> Result<(), PublishError> {
        blocking(self.path(name)?, |path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }
}

/// Writes beside and renames: a reader sees the old file or the new one.
///
/// Not synced to disk: what a power failure takes is written again at the next start, and a
/// reader checks the digest.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

async fn blocking(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<(), PublishError> {
    let at = path.clone();
    match tokio::task::spawn_blocking(move || work(&path)).await {
        Ok(result) => result.map_err(failed(&at)),
        Err(error) => Err(failed(&at)(io::Error::other(error))),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.display().to_string();
    |source| PublishError::File { path, source }
}
