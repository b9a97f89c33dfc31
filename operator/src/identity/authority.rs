use std::{fmt, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;
use weft_engine::identity::SpiffeId;
use zeroize::{Zeroize, Zeroizing};

use super::leaf::{Identity, Verdict, pem_of};

/// How long a root that we make ourselves lives.
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most that a leaf's start lies in the past, for clocks that run behind ours.
const BACKDATE: Duration = Duration::from_secs(60);

/// A CA as it is stored: PEM.
#[derive(Clone)]
pub struct StoredAuthority {
    /// The signing certificate, and the intermediates above it if it is not a root.
    pub chain: String,
    /// Its private key, PKCS#8.
    pub key: Zeroizing<String>,
    /// Every root that is trusted now. Several while a root is being replaced.
    pub roots: String,
}

/// A CA that can issue.
pub struct Authority {
    issuer: Issuer<'static, SecretKey>,
    signer: CertificateDer<'static>,
    not_after: OffsetDateTime,
    /// Certificates that a leaf brings along, so that a peer can reach a root.
    intermediates: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    bundle: String,
    trust_domain: String,
}

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Not PEM, or not what the PEM label says.
    #[error("the CA's {part} is not readable: {reason}; it must be PEM ({expected})")]
    Unreadable {
        /// Which part.
        part: &'static str,
        /// What the parser said.
        reason: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The key belongs to none of the certificates.
    #[error(
        "the CA's private key belongs to none of its certificates; the certificate and the key must be replaced together"
    )]
    KeyMismatch,
    /// A certificate that may not sign.
    #[error(
        "the CA's certificate may not issue ({0}); it needs basicConstraints CA:TRUE and, if it states key usages, keyCertSign"
    )]
    NotACa(&'static str),
    /// Out of its time.
    #[error(
        "the CA's certificate is not valid now (it ends at {0}); replace it, or check this machine's clock"
    )]
    Expired(OffsetDateTime),
    /// No root above the signing certificate.
    #[error(
        "the CA's certificate does not lead to any of the trusted roots; put the root that issued it into the bundle"
    )]
    NoPath,
    /// A trust domain that cannot stand in a SPIFFE ID.
    #[error("the trust domain is not usable: {0}")]
    TrustDomain(#[from] weft_engine::identity::SpiffeIdError),
    /// Signing failed.
    #[error("the CA could not sign: {0}; the cryptographic library refused its input")]
    Signing(#[from] rcgen::Error),
}

impl Authority {
    /// Makes a new root: ECDSA P-256, self-signed, 10 years.
    pub fn generate(
        trust_domain: &str,
        now: OffsetDateTime,
    ) -> Result<StoredAuthority, AuthorityError> {
        let key = SecretKey(KeyPair::generate()?);
        let mut params = CertificateParams::default();
        params.not_before = now - BACKDATE;
        params.not_after = now + ROOT_LIFETIME;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Weft");
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Weft root of {trust_domain}"));
        // SPIFFE X509-SVID 3.2: a signing certificate is itself named by its trust domain.
        params.subject_alt_names =
            vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        // No path length: the CA may later be split into a root and an intermediate.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(StoredAuthority {
            chain: certificate.clone(),
            key: Zeroizing::new(key.0.serialize_pem()),
            roots: certificate,
        })
    }

    /// Takes a stored CA into use, after checking that it can do what it is for.
    pub fn load(
        stored: &StoredAuthority,
        trust_domain: &str,
        now: OffsetDateTime,
    ) -> Result<Self, AuthorityError> {
        let key = SecretKey(KeyPair::from_pem(&stored.key).map_err(|error| {
            AuthorityError::Unreadable {
                part: "private key",
                reason: error.to_string(),
                expected: "PRIVATE KEY, PKCS#8",
            }
        })?);
        let chain = certificates("certificate chain", &stored.chain)?;
        let mut roots = certificates("trusted roots", &stored.roots)?;
        roots.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        roots.dedup();

        let public_key = key.der_bytes();
        let signer = chain
            .iter()
            .find(|certificate| {
                x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
                    parsed.public_key().subject_public_key.data.as_ref() == public_key
                })
            })
            .ok_or(AuthorityError::KeyMismatch)?
            .clone();
        let not_after = check_may_issue(&signer, now)?;
        let intermediates: Vec<_> = chain
            .into_iter()
            .filter(|certificate| !roots.contains(certificate))
            .collect();
        let authority = Self {
            issuer: Issuer::from_ca_cert_der(&signer, key)?,
            bundle: roots.iter().map(|root| pem_of(root)).collect(),
            signer,
            not_after,
            intermediates,
            roots,
            trust_domain: trust_domain.to_owned(),
        };
        authority.prove(now)?;
        Ok(authority)
    }

    /// Issues to nobody and verifies as a peer would: a path that does not lead to a root shows
    /// now, and not at the first handshake of a stranger.
    fn prove(&self, now: OffsetDateTime) -> Result<(), AuthorityError> {
        let lifetime = Duration::from_secs(600);
        let id = SpiffeId::new(&self.trust_domain, "weft-system", "nobody")?;
        match self
            .issue(&id, lifetime, now)?
            .judge(self, &id, lifetime, now)
        {
            Verdict::Keep { .. } => Ok(()),
            Verdict::Reissue(_) => Err(AuthorityError::NoPath),
        }
    }

    /// Whether both issue with the same certificate and trust the same roots.
    pub fn same_as(&self, other: &Self) -> bool {
        self.signer == other.signer
            && self.bundle == other.bundle
            && self.intermediates == other.intermediates
    }

    /// When the signing certificate ends.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Every trusted root, PEM, in a stable order.
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// The trust domain of the identities that it issues.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Issues an identity that ends `lifetime` from now, or with the CA if that is earlier.
    ///
    /// It starts a little in the past (a minute, or a tenth of `lifetime` if that is less) for
    /// peers whose clock runs behind.
    pub fn issue(
        &self,
        id: &SpiffeId,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let names = vec![SanType::URI(id.as_str().try_into()?)];
        self.issue_to(names, lifetime, now)
    }

    /// Issues a certificate by which the API server knows this operator: DNS names and addresses,
    /// which no identity of a workload has.
    pub fn issue_serving(
        &self,
        names: &[String],
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => Ok(SanType::DnsName(name.as_str().try_into()?)),
            })
            .collect::<Result<_, rcgen::Error>>()?;
        self.issue_to(names, lifetime, now)
    }

    fn issue_to(
        &self,
        names: Vec<SanType>,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let key = SecretKey(KeyPair::generate()?);
        let mut params = CertificateParams::default();
        params.not_before = now - BACKDATE.min(lifetime / 10);
        params.not_after = (now + lifetime).min(self.not_after);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Weft");
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let mut chain = params.signed_by(&key, &self.issuer)?.pem();
        for intermediate in &self.intermediates {
            chain.push_str(&pem_of(intermediate));
        }
        Ok(Identity {
            chain,
            key: Zeroizing::new(key.0.serialize_pem()),
            bundle: self.bundle.clone(),
            owner: None,
        })
    }
}

/// Reads every certificate of a PEM text; at least one.
fn certificates(
    part: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let unreadable = |reason: String| AuthorityError::Unreadable {
        part,
        reason,
        expected: "one or more CERTIFICATE blocks",
    };
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable("there is no certificate in it".to_owned()));
    }
    for certificate in &certificates {
        x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| unreadable(error.to_string()))?;
    }
    Ok(certificates)
}

fn check_may_issue(
    signer: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, AuthorityError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(signer)
        .map_err(|_| AuthorityError::NotACa("it is not a certificate"))?;
    match parsed.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => {}
        _ => return Err(AuthorityError::NotACa("it is not a CA certificate")),
    }
    match parsed.key_usage() {
        Ok(None) => {}
        Ok(Some(usage)) if usage.value.key_cert_sign() => {}
        _ => {
            return Err(AuthorityError::NotACa(
                "its key usages leave out keyCertSign",
            ));
        }
    }
    let validity = parsed.validity();
    let not_after = validity.not_after.to_datetime();
    if now < validity.not_before.to_datetime() || now >= not_after {
        return Err(AuthorityError::Expired(not_after));
    }
    Ok(not_after)
}

/// A private key that is wiped when it is dropped.
struct SecretKey(KeyPair);

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for SecretKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

impl SigningKey for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("roots", &self.roots.len())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredAuthority { .. }")
    }
}
