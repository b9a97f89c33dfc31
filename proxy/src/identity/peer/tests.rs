use rcgen::{CertificateParams, KeyPair, SanType};
use time::OffsetDateTime;

use super::*;

const ID: &str = "spiffe://cluster.local/ns/shop/sa/echo";

/// A certificate with these URI names, valid from `begin` to `end` seconds from now.
fn certificate(uris: &[&str], begin: i64, end: i64) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris
        .iter()
        .map(|uri| SanType::URI((*uri).try_into().unwrap()))
        .collect();
    let now = OffsetDateTime::now_utc();
    params.not_before = now + time::Duration::seconds(begin);
    params.not_after = now + time::Duration::seconds(end);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

#[test]
fn a_workload_is_named_by_exactly_one_spiffe_id() {
    let good = certificate(&[ID], -60, 60);
    assert_eq!(peer_identity(Some(&[good])).unwrap().as_str(), ID);
    for uris in [&[][..], &[ID, "spiffe://cluster.local/ns/shop/sa/other"]] {
        let chain = [certificate(uris, -60, 60)];
        let refused = peer_identity(Some(&chain));
        assert!(matches!(refused, Err(PeerError::UriNames(n)) if n == uris.len()));
    }
    for other in [
        "https://cluster.local/ns/shop/sa/echo",
        "spiffe://cluster.local/ns/shop/sa/echo/extra",
        "spiffe://cluster.local/ns/shop",
        "spiffe://cluster.local/ns/shop/sa/echo?a=b",
    ] {
        let chain = [certificate(&[other], -60, 60)];
        let refused = peer_identity(Some(&chain));
        assert!(matches!(refused, Err(PeerError::SpiffeId(_))), "{other}");
    }
}

#[test]
fn a_certificate_is_looked_at_again_on_a_resumed_session() {
    // What a resumed session hands over was verified long ago; only its time may have passed.
    for (begin, end) in [(-7200, -10), (600, 7200)] {
        let chain = [certificate(&[ID], begin, end)];
        let refused = peer_identity(Some(&chain));
        assert!(matches!(refused, Err(PeerError::Expired(id)) if id.as_str() == ID));
    }
}

#[test]
fn nothing_and_garbage_prove_nothing() {
    assert!(matches!(peer_identity(None), Err(PeerError::Missing)));
    assert!(matches!(peer_identity(Some(&[])), Err(PeerError::Missing)));
    let garbage = CertificateDer::from(vec![0x30, 0x82, 0xff]);
    let refused = peer_identity(Some(&[garbage]));
    assert!(matches!(refused, Err(PeerError::Parse(_))));
}
