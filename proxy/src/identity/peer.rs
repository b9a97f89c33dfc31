//! What a peer's certificate proves.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use weft_engine::identity::SpiffeId;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why a certificate is not a workload's.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No certificate was presented.
    #[error("the peer presented no certificate; it is not a proxy of this mesh")]
    Missing,
    /// It is not X.509.
    #[error("the certificate cannot be parsed: {0}")]
    Parse(String),
    /// A workload has exactly one URI name.
    #[error("the certificate has {0} URI names, a workload's has exactly one (its SPIFFE ID)")]
    UriNames(usize),
    /// The URI is not a workload's.
    #[error(transparent)]
    SpiffeId(#[from] weft_engine::identity::SpiffeIdError),
    /// It is not (or no longer) valid. A resumed session does not verify the chain again, so
    /// this is looked at on every connection.
    #[error(
        "the certificate of {0} has expired or is not valid yet; check that the operator runs and that the clocks agree"
    )]
    Expired(SpiffeId),
}

/// The workload that a certificate names, its validity included; the chain is the verifiers'.
pub fn peer_identity(chain: Option<&[CertificateDer<'_>]>) -> Result<SpiffeId, PeerError> {
    peer_validity(chain.unwrap_or_default()).map(|(id, _, _)| id)
}

/// As [`peer_identity`], with begin and end of validity.
pub(super) fn peer_validity(
    chain: &[CertificateDer<'_>],
) -> Result<(SpiffeId, i64, i64), PeerError> {
    let leaf = chain.first().ok_or(PeerError::Missing)?;
    let (id, not_before, not_after) = parse(leaf)?;
    let now = seconds(SystemTime::now());
    if now < not_before || now > not_after {
        return Err(PeerError::Expired(id));
    }
    Ok((id, not_before, not_after))
}

/// SPIFFE ID, begin and end of validity (seconds since 1970) of a leaf.
pub(super) fn parse(leaf: &CertificateDer<'_>) -> Result<(SpiffeId, i64, i64), PeerError> {
    let (_, certificate) =
        X509Certificate::from_der(leaf).map_err(|error| PeerError::Parse(error.to_string()))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| PeerError::Parse(error.to_string()))?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    let [uri] = uris.as_slice() else {
        return Err(PeerError::UriNames(uris.len()));
    };
    let validity = certificate.validity();
    Ok((
        uri.parse()?,
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
