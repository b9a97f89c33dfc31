//! Who workloads are: the CA, the certificates that it issues, and where they are kept.
//!
//! One certificate per service account, with the SPIFFE ID as its only name. A private key is
//! made here, handed to the store, and forgotten; it never reaches a log, a status or a
//! ConfigMap.

/// One look at one account.
mod attend;
/// The CA: a root of our own, or one that was given to us.
mod authority;
/// Which accounts have an identity, and when each is issued again.
mod keeper;
/// What an issued identity is, and whether a stored one still serves.
mod leaf;
/// Whose proxies may read the config documents.
mod readers;
/// Secrets in a cluster.
mod secrets;
/// Directories as the kubelet lays out a Secret volume.
mod volumes;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

pub use authority::{Authority, AuthorityError, StoredAuthority};
pub use keeper::{Keeper, KeeperNews, KeeperSettings, Wanted};
pub use leaf::{Identity, Verdict};
pub use secrets::Secrets;
pub use volumes::Volumes;

/// A service account: whom an identity is issued to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where identities and the CA are kept.
pub trait IdentityStore: Clone + Send + Sync + 'static {
    /// Whether an identity is kept with its [`Identity::owner`], and goes by itself when that
    /// goes.
    const OWNED: bool;

    /// The CA that is stored, if there is one.
    fn read_authority(
        &self,
    ) -> impl Future<Output = Result<Option<StoredAuthority>, StoreError>> + Send;

    /// Stores a CA where there was none. Returns `false` when somebody else was faster: read
    /// theirs.
    fn create_authority(
        &self,
        authority: &StoredAuthority,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The identity that is stored for an account.
    fn read(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Option<Identity>, StoreError>> + Send;

    /// Stores an identity, whole or not at all.
    fn write(
        &self,
        account: &Account,
        identity: &Identity,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes an account's identity, if it is there.
    fn remove(&self, account: &Account) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets the proxies of these namespaces, and of no others, read the config documents.
    fn admit(
        &self,
        namespaces: &BTreeSet<String>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The accounts that have an identity from an earlier life of this process, as far as the
    /// store can tell.
    fn list(&self) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send;
}

/// Why the store did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{path}: {source}; check that the directory exists and is writable for this user")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API server refused or did not answer.
    #[error("{name}: {source}; {hint}")]
    Api {
        /// `namespace/name`.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
        /// What to check.
        hint: &'static str,
    },
    /// The API server did not answer in time.
    #[error("{name}: the API server did not answer within {seconds} s; is it reachable?")]
    Timeout {
        /// `namespace/name`.
        name: String,
        /// The bound.
        seconds: u64,
    },
    /// A Secret of this name exists and is somebody else's.
    #[error(
        "Secret {name} exists and is not managed by weft; rename it, or add the label app.kubernetes.io/managed-by: weft to hand it over"
    )]
    Foreign {
        /// `namespace/name`.
        name: String,
    },
}
