//! Certificates for the peers: one CA, a server and a client, P-256 as the mesh's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::BenchError;

/// Folders of tls.crt, tls.key, both.pem and ca.crt.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The server's, who wants to know its callers.
    pub server: PathBuf,
    /// The client's.
    pub client: PathBuf,
    /// The server's, who takes any caller: no ca.crt.
    pub front: PathBuf,
    /// The client's, who shows no certificate: ca.crt alone.
    pub anonymous: PathBuf,
}

/// The name that every certificate has.
pub const NAME: &str = "server.bench";

/// Makes them below `folder`.
pub fn make(folder: &Path) -> Result<Pki, BenchError> {
    let failed = |error: rcgen::Error| BenchError::Manifest(format!("a certificate: {error}"));
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the leaves': OpenSSL takes a certificate that names itself as its issuer
    // for self-signed.
    authority
        .distinguished_name
        .push(DnType::CommonName, "the benchmark's CA");
    let key = KeyPair::generate().map_err(failed)?;
    let authority = CertifiedIssuer::self_signed(authority, key).map_err(failed)?;
    let write = |name: &str, own: bool, ca: bool| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(BenchError::file(&folder))?;
        let put = |file: &str, text: String| {
            let path = folder.join(file);
            fs::write(&path, text).map_err(BenchError::file(path))
        };
        if ca {
            put("ca.crt", authority.pem())?;
        }
        if own {
            let mut params = CertificateParams::new(vec![NAME.to_owned()]).map_err(failed)?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let key = KeyPair::generate().map_err(failed)?;
            let leaf = params.signed_by(&key, &authority).map_err(failed)?;
            put("tls.crt", leaf.pem())?;
            put("tls.key", key.serialize_pem())?;
            put("both.pem", format!("{}{}", leaf.pem(), key.serialize_pem()))?;
        }
        Ok(folder)
    };
    Ok(Pki {
        server: write("server", true, true)?,
        client: write("client", true, true)?,
        front: write("front", true, false)?,
        anonymous: write("anonymous", false, true)?,
    })
}

/// Writes both.pem beside tls.crt and tls.key, for programs that want one file.
pub fn join(folder: &Path) -> Result<(), BenchError> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(BenchError::file(path))
    };
    let both = read("tls.crt")? + &read("tls.key")?;
    let path = folder.join("both.pem");
    fs::write(&path, both).map_err(BenchError::file(path))
}
