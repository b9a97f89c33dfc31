use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{Account, Identity, IdentityStore, StoreError, StoredAuthority};

/// The files of an identity, as a TLS Secret names its keys.
const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// Identities as directories, laid out as the kubelet lays out a Secret volume: the files are
/// symbolic links through `..data` to a directory that is swapped in one rename, so that a
/// reader never sees the certificate of one moment with the key of another.
#[derive(Clone, Debug)]
pub struct Volumes {
    out: Arc<PathBuf>,
}

impl Volumes {
    /// Identities in `out/identities`, the CA in `out/ca`.
    pub fn new(out: &Path) -> Self {
        Self {
            out: Arc::new(out.to_owned()),
        }
    }

    fn directory(&self, account: &Account) -> PathBuf {
        self.out
            .join("identities")
            .join(&account.namespace)
            .join(&account.name)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || work(&this)).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::File {
                path: "identities".to_owned(),
                source: io::Error::other(error),
            }),
        }
    }
}

impl IdentityStore for Volumes {
    const OWNED: bool = false;

    async fn read_authority(&self) -> Result<Option<StoredAuthority>, StoreError> {
        self.blocking(|this| {
            let directory = this.out.join("ca");
            let Some(key) = read(&directory.join("ca.key"))? else {
                return Ok(None);
            };
            let roots = read(&directory.join("ca.crt"))?.unwrap_or_default();
            Ok(Some(StoredAuthority {
                chain: roots.to_string(),
                key,
                roots: roots.to_string(),
            }))
        })
        .await
    }

    async fn create_authority(&self, authority: &StoredAuthority) -> Result<bool, StoreError> {
        let authority = authority.clone();
        self.blocking(move |this| {
            let directory = this.out.join("ca");
            create(&directory)?;
            // On disk before it is used: whatever is issued by it stands and falls with it.
            write(&directory, "ca.crt", &authority.roots, 0o600, Durable::Yes)?;
            // The key last: a CA without a key is made anew, a key without its CA is not usable.
            write(&directory, "ca.key", &authority.key, 0o600, Durable::Yes)?;
            Ok(true)
        })
        .await
    }

    async fn read(&self, account: &Account) -> Result<Option<Identity>, StoreError> {
        let directory = self.directory(account);
        self.blocking(move |_| {
            // Resolved once, so that the three files are of one moment.
            let Ok(data) = fs::canonicalize(directory.join("..data")) else {
                return Ok(None);
            };
            let [chain, key, bundle] = FILES.map(|name| read(&data.join(name)));
            let (Some(chain), Some(key), Some(bundle)) = (chain?, key?, bundle?) else {
                return Ok(None);
            };
            Ok(Some(Identity {
                chain: chain.to_string(),
                key,
                bundle: bundle.to_string(),
                owner: None,
            }))
        })
        .await
    }

    async fn write(&self, account: &Account, identity: &Identity) -> Result<(), StoreError> {
        let directory = self.directory(account);
        let identity = identity.clone();
        self.blocking(move |_| {
            create(&directory)?;
            let now = jiff::Timestamp::now();
            let stamp = format!(
                "..{}.{:09}",
                now.strftime("%Y_%m_%d_%H_%M_%S"),
                now.subsec_nanosecond()
            );
            let data = directory.join(&stamp);
            create(&data)?;
            let contents = [
                (identity.chain.as_str(), 0o644),
                (identity.key.as_str(), 0o600),
                (identity.bundle.as_str(), 0o644),
            ];
            for (name, (content, mode)) in FILES.into_iter().zip(contents) {
                // Not synced: what a power failure cuts short does not verify, and is issued
                // again at the next start.
                write(&data, name, content, mode, Durable::No)?;
            }
            link(&directory, "..data", Path::new(&stamp))?;
            for name in FILES {
                let through = Path::new("..data").join(name);
                if fs::read_link(directory.join(name)).ok().as_ref() != Some(&through) {
                    link(&directory, name, &through)?;
                }
            }
            remove_older(&directory, &stamp)
        })
        .await
    }

    async fn remove(&self, account: &Account) -> Result<(), StoreError> {
        let directory = self.directory(account);
        self.blocking(move |_| match fs::remove_dir_all(&directory) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed(&directory)(source))
            }
            _ => Ok(()),
        })
        .await
    }

    async fn admit(&self, _: &BTreeSet<String>) -> Result<(), StoreError> {
        // The permissions of the directory decide.
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Account>, StoreError> {
        self.blocking(|this| {
            let mut accounts = Vec::new();
            let identities = this.out.join("identities");
            for namespace in directories(&identities)? {
                for name in directories(&identities.join(&namespace))? {
                    accounts.push(Account {
                        namespace: namespace.clone(),
                        name,
                    });
                }
            }
            Ok(accounts)
        })
        .await
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    |source| StoreError::File { path, source }
}

fn create(directory: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(failed(directory))
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Whether a file is synced to disk before it takes its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

/// Writes beside and renames, so that the file is there whole or not at all; the mode is set
/// before the first byte is written.
fn write(
    directory: &Path,
    name: &str,
    content: &str,
    mode: u32,
    durable: Durable,
) -> Result<(), StoreError> {
    let path = directory.join(name);
    let beside = directory.join(format!(".{name}.new"));
    let store = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(content.as_bytes())?;
        if durable == Durable::Yes {
            file.sync_all()?;
        }
        fs::rename(&beside, &path)
    };
    store().map_err(failed(&path))
}

fn link(directory: &Path, name: &str, target: &Path) -> Result<(), StoreError> {
    let path = directory.join(name);
    let beside = directory.join(format!("{name}_tmp"));
    let swap = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(target, &beside)?;
        fs::rename(&beside, &path)
    };
    swap().map_err(failed(&path))
}

fn remove_older(directory: &Path, current: &str) -> Result<(), StoreError> {
    for name in directories(directory)? {
        if name.starts_with("..") && name != current {
            let path = directory.join(name);
            fs::remove_dir_all(&path).map_err(failed(&path))?;
        }
    }
    Ok(())
}

/// The real directories (not links) in a directory; none if it does not exist.
fn directories(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(directory))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}
