//! The last good documents on disk, so that a restarted proxy starts without its source.

use std::{fs, io, path::PathBuf};

use weft_engine::documents::DocumentName;

/// A directory of documents (`--state-dir`), or none.
#[derive(Clone, Debug, Default)]
pub struct LastGood {
    directory: Option<PathBuf>,
}

impl LastGood {
    /// Keeps documents in `directory`, which is created.
    pub fn new(directory: Option<PathBuf>) -> io::Result<Self> {
        if let Some(directory) = &directory {
            fs::create_dir_all(directory)?;
        }
        Ok(Self { directory })
    }

    /// The document as it was last good.
    pub fn load(&self, name: &DocumentName) -> Option<String> {
        fs::read_to_string(self.directory.as_ref()?.join(format!("{name}.json"))).ok()
    }

    /// Keeps a document that proved good.
    pub fn store(&self, name: &DocumentName, json: &str) {
        let Some(directory) = &self.directory else {
            return;
        };
        let path = directory.join(format!("{name}.json"));
        let temporary = directory.join(format!(".{name}.tmp"));
        let written = fs::write(&temporary, json).and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            tracing::warn!(document = %name, %error, "last good document not kept on disk; a restart would need the source");
        }
    }

    /// Forgets a document that was withdrawn.
    pub fn forget(&self, name: &DocumentName) {
        if let Some(directory) = &self.directory {
            // Missing is what is wanted.
            let _ = fs::remove_file(directory.join(format!("{name}.json")));
        }
    }
}
