//! Certificates that a gateway shows to clients outside the mesh: one for each listener that
//! ends TLS, as the kubelet lays out a Secret volume of type kubernetes.io/tls.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{
    config::DirectoryWatch,
    observe::{Recorder, families::IDENTITY_RELOADS},
};

/// How often the files are read without an event.
const POLL: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used. It holds no key material.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate of listener {listener} in {directory} cannot be used: {reason}; mount a Secret of type kubernetes.io/tls there (tls.crt, tls.key)"
)]
pub struct CertificateError {
    listener: String,
    directory: String,
    reason: String,
}

/// The certificates of a gateway's listeners, swapped whole as their files change.
#[derive(Clone, Debug, Default)]
pub struct ServingCertificates(Arc<BTreeMap<String, ArcSwapOption<ServerConfig>>>);

impl ServingCertificates {
    /// Reads those of `directories` (by listener) and keeps them up to date for the process's
    /// life. One that does not load leaves the old one in use; until there is one, the listener
    /// refuses every connection.
    pub fn start(directories: Vec<(String, PathBuf)>, metrics: &Recorder) -> Self {
        let empty = directories
            .iter()
            .map(|(listener, _)| (listener.clone(), ArcSwapOption::empty()));
        let certificates = Self(Arc::new(empty.collect()));
        for (listener, directory) in directories {
            let follow = certificates
                .clone()
                .follow(listener, directory, metrics.clone());
            tokio::spawn(follow);
        }
        certificates
    }

    /// What a listener shows now.
    pub fn of(&self, listener: &str) -> Option<Arc<ServerConfig>> {
        self.0.get(listener)?.load_full()
    }

    /// Whether every listener that was given a directory has a certificate.
    pub fn are_loaded(&self) -> bool {
        self.0
            .values()
            .all(|certificate| certificate.load().is_some())
    }

    async fn follow(self, listener: String, directory: PathBuf, metrics: Recorder) {
        let mut watch = DirectoryWatch::new(&directory);
        let mut loaded = None;
        let mut failure = None;
        loop {
            match load(&listener, &directory, &mut loaded) {
                Ok(None) => failure = None,
                Ok(Some(config)) => {
                    metrics.counter(&IDENTITY_RELOADS, &["loaded"]).inc();
                    tracing::info!(listener, "certificate loaded");
                    failure = None;
                    if let Some(slot) = self.0.get(&listener) {
                        slot.store(Some(Arc::new(config)));
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if failure.as_ref() != Some(&text) {
                        metrics.counter(&IDENTITY_RELOADS, &["rejected"]).inc();
                        tracing::error!(error = %text, "certificate not loaded");
                        failure = Some(text);
                    }
                }
            }
            tokio::select! {
                _ = watch.next() => {
                    // A kubelet swap is several events; the last one decides.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    watch.skip();
                }
                () = tokio::time::sleep(POLL) => drop(watch.renew()),
            }
        }
    }
}

/// The files' contents: certificate chain and key.
type Files = (Vec<u8>, Vec<u8>);

/// `None`: the files are as they were.
fn load(
    listener: &str,
    directory: &Path,
    loaded: &mut Option<Files>,
) -> Result<Option<ServerConfig>, CertificateError> {
    let failed = |reason: String| CertificateError {
        listener: listener.to_owned(),
        directory: directory.display().to_string(),
        reason,
    };
    let read = |file: &str| {
        fs::read(directory.join(file)).map_err(|error| failed(format!("{file}: {error}")))
    };
    let files = (read("tls.crt")?, read("tls.key")?);
    if loaded.as_ref() == Some(&files) {
        return Ok(None);
    }
    let chain = CertificateDer::pem_slice_iter(&files.0)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(format!("tls.crt: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(&files.1)
        .map_err(|error| failed(format!("tls.key: {error}")))?;
    // Clients outside the mesh are whoever they are: 1.2 is what some still speak.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| failed(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| failed(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    *loaded = Some(files);
    Ok(Some(config))
}
