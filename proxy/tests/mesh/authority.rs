//! Issues workload identities, and wrong ones.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
}

/// What the operator would put into a Secret.
pub struct Issued {
    pub certificate: String,
    pub key: String,
    pub bundle: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "weft test root");
        let key = KeyPair::generate().unwrap();
        let root_pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            root_pem,
        }
    }

    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    pub fn issue(&self, id: &str) -> Issued {
        self.issue_for(&[id], Duration::from_secs(3600))
    }

    /// A certificate with these URI names that ends after `lifetime`.
    pub fn issue_for(&self, ids: &[&str], lifetime: Duration) -> Issued {
        let names = ids
            .iter()
            .map(|id| SanType::URI((*id).try_into().unwrap()))
            .collect();
        self.sign(names, lifetime)
    }

    /// A certificate for an ordinary server at `ip`.
    pub fn issue_server(&self, ip: IpAddr) -> Issued {
        self.sign(vec![SanType::IpAddress(ip)], Duration::from_secs(3600))
    }

    fn sign(&self, names: Vec<SanType>, lifetime: Duration) -> Issued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_before = OffsetDateTime::now_utc() - Duration::from_secs(60);
        params.not_after = OffsetDateTime::now_utc() + lifetime;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            bundle: self.root_pem.clone(),
        }
    }
}

/// Files in a timestamped directory, linked through `..data`, which is swapped atomically.
pub fn lay_out(directory: &Path, issued: &Issued) {
    static VERSION: AtomicU32 = AtomicU32::new(0);
    let version = format!("..v{}", VERSION.fetch_add(1, Ordering::Relaxed));
    let data = directory.join(&version);
    fs::create_dir_all(&data).unwrap();
    for (file, content) in [
        ("tls.crt", &issued.certificate),
        ("tls.key", &issued.key),
        ("ca.crt", &issued.bundle),
    ] {
        fs::write(data.join(file), content).unwrap();
        let link = directory.join(file);
        if link.symlink_metadata().is_err() {
            symlink(Path::new("..data").join(file), link).unwrap();
        }
    }
    fs::set_permissions(data.join("tls.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let temporary = directory.join("..data_tmp");
    symlink(&version, &temporary).unwrap();
    fs::rename(temporary, directory.join("..data")).unwrap();
}
