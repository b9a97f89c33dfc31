//! Kubeconfig files.

use std::{fs::File, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use super::Error;

/// How a user of a kubeconfig proves who it is.
pub(crate) enum Credential<'a> {
    /// A client certificate.
    Certificate {
        /// The file with the chain.
        certificate: &'a Path,
        /// The file with the key.
        key: &'a Path,
    },
    /// A bearer token.
    Token(&'a str),
}

/// Writes a kubeconfig for `server`, readable by its owner only.
pub(crate) fn write(
    path: &Path,
    server: &str,
    ca: &Path,
    credential: &Credential<'_>,
) -> Result<(), Error> {
    let user = match credential {
        Credential::Certificate { certificate, key } => serde_json::json!({
            "client-certificate": certificate,
            "client-key": key,
        }),
        Credential::Token(token) => serde_json::json!({ "token": token }),
    };
    // JSON is YAML: every reader of a kubeconfig takes it.
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "weft-e2e", "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": "weft-e2e", "user": user}],
        "contexts": [{"name": "weft-e2e", "context": {"cluster": "weft-e2e", "user": "weft-e2e"}}],
        "current-context": "weft-e2e",
    });
    let failed = |source| Error::Files {
        path: path.to_owned(),
        source,
    };
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{config:#}\n").as_bytes())
        .map_err(failed)
}
