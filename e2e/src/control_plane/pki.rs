//! The certificates of a control plane: one authority, made for it and forgotten with it.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::Error;

/// By which names a server is reached that listens on loopback.
pub(crate) const LOOPBACK: &[&str] = &["127.0.0.1", "localhost", "kubernetes.default.svc"];

/// The files of one authority and what it has issued.
#[derive(Debug)]
pub(crate) struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes an authority and everything that etcd, the API server and an administrator need.
    pub(crate) fn generate(dir: &Path) -> Result<Self, Error> {
        let (pki, issuer) = Self::authority(dir)?;
        for (file, common_name, organization) in [
            // One certificate serves as etcd's and as the API server's towards it.
            ("etcd", "etcd", None),
            ("apiserver", "kube-apiserver", None),
            ("admin", "weft-e2e-admin", Some("system:masters")),
        ] {
            pki.issue(&issuer, file, common_name, organization, LOOPBACK)?;
        }
        Ok(pki)
    }

    /// Makes an authority, and the key that signs the tokens of service accounts.
    pub(crate) fn authority(dir: &Path) -> Result<(Self, Issuer<'static, KeyPair>), Error> {
        let pki = Self::at(dir);
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("weft-e2e-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        pki.store("ca.crt", &params.self_signed(&ca_key)?.pem())?;
        // Service account tokens are signed with a key of their own, which no certificate names.
        let tokens = KeyPair::generate()?;
        pki.store("tokens.key", &tokens.serialize_pem())?;
        pki.store("tokens.pub", &tokens.public_key_pem())?;
        Ok((pki, Issuer::new(params, ca_key)))
    }

    /// The authority whose files stand in `dir` already.
    pub(crate) fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The authority's own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The certificate issued to `name`.
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.crt"))
    }

    /// The private key of `name`.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    /// The public half of `tokens.key`.
    pub(crate) fn token_verification_key(&self) -> PathBuf {
        self.dir.join("tokens.pub")
    }

    /// Issues `file.crt` and `file.key`, for a client and for a server that is reached by one of
    /// `names`.
    pub(crate) fn issue(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        file: &str,
        common_name: &str,
        organization: Option<&str>,
        names: &[&str],
    ) -> Result<(), Error> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(common_name, organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, issuer)?;
        self.store(&format!("{file}.crt"), &certificate.pem())?;
        self.store(&format!("{file}.key"), &key.serialize_pem())
    }

    fn store(&self, file: &str, pem: &str) -> Result<(), Error> {
        let path = self.dir.join(file);
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(pem.as_bytes()))
            .map_err(|source| Error::Files { path, source })
    }
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}
