use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use time::OffsetDateTime;
use weft_engine::identity::SpiffeId;
use zeroize::{Zeroize, Zeroizing};

use super::Authority;

/// An issued identity: PEM, as a workload mounts it.
#[derive(Clone)]
pub struct Identity {
    /// The leaf, then what leads to a root (`tls.crt`).
    pub chain: String,
    /// The leaf's private key (`tls.key`).
    pub key: Zeroizing<String>,
    /// Every trusted root (`ca.crt`).
    pub bundle: String,
    /// The uid of the ServiceAccount with which it goes, where the store sees to that.
    pub owner: Option<String>,
}

/// What is to be done with a stored identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It serves until then.
    Keep {
        /// When it is to be issued again.
        until: OffsetDateTime,
    },
    /// It does not serve any more; the reason is for the log.
    Reissue(&'static str),
}

impl Identity {
    /// Whether this identity is what `authority` would issue for `id`, for how long, or why not.
    ///
    /// It is issued again when two thirds of its lifetime are over, a little earlier by an
    /// amount that depends on the certificate, so that a thousand identities of one hour do not
    /// rotate in one second; a restart computes the same moment.
    pub fn judge(
        &self,
        authority: &Authority,
        id: &SpiffeId,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Verdict {
        use Verdict::Reissue;
        if self.bundle != authority.bundle() {
            return Reissue("the trusted roots changed");
        }
        let Ok(chain) = CertificateDer::pem_slice_iter(self.chain.as_bytes())
            .collect::<Result<Vec<CertificateDer<'static>>, _>>()
        else {
            return Reissue("its certificate is not readable");
        };
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Reissue("it has no certificate");
        };
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(leaf) else {
            return Reissue("its certificate is not readable");
        };
        let Ok(mut key) = KeyPair::from_pem(&self.key) else {
            return Reissue("its private key is not readable");
        };
        let matches = parsed.public_key().subject_public_key.data.as_ref() == key.der_bytes();
        key.zeroize();
        if !matches {
            return Reissue("its private key is another certificate's");
        }
        let Ok(certificate) = webpki::EndEntityCert::try_from(leaf) else {
            return Reissue("its certificate is not readable");
        };
        if !certificate.valid_uri_names().eq([id.as_str()]) {
            return Reissue("it names somebody else");
        }
        if !verifies(&certificate, intermediates, authority, now) {
            return Reissue("it does not verify against the trusted roots");
        }
        let not_before = parsed.validity().not_before.to_datetime();
        let not_after = parsed.validity().not_after.to_datetime();
        let span = not_after - not_before;
        // A shorter lifetime was asked for since: the old promise is too long to wait out.
        if span > lifetime.saturating_mul(2) {
            return Reissue("it lives longer than is now configured");
        }
        let until = not_before + span * rotation_point(leaf);
        if now >= until {
            return Reissue("two thirds of its lifetime are over");
        }
        Verdict::Keep { until }
    }
}

/// Between 60 % and two thirds of the lifetime, the same for the same certificate.
fn rotation_point(leaf: &CertificateDer<'_>) -> f64 {
    let mut hasher = DefaultHasher::new();
    leaf.as_ref().hash(&mut hasher);
    let jitter = (hasher.finish() % 1000) as f64 / 1000.0;
    2.0 / 3.0 - jitter * (2.0 / 3.0 - 0.6)
}

fn verifies(
    leaf: &webpki::EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    authority: &Authority,
    now: OffsetDateTime,
) -> bool {
    let anchors: Vec<_> = authority
        .roots()
        .iter()
        .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
        .collect();
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        webpki::KeyUsage::client_auth(),
        None,
        None,
    )
    .is_ok()
}

/// A certificate in PEM.
pub(super) fn pem_of(certificate: &CertificateDer<'_>) -> String {
    pem::encode_config(
        &pem::Pem::new("CERTIFICATE", certificate.as_ref()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity { .. }")
    }
}
