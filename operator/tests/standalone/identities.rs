use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::stage::{BOUND, Stage, eventually};

#[test]
fn identities_verify_against_the_bundle_and_rotate_before_they_end() {
    let stage = Stage::new();
    let operator = stage.start_with(&["--leaf-lifetime", "10s"]);
    operator.ready();
    let directory = stage.out().join("identities/shop/reviews");
    let mut last = verify(&directory);
    let mut rotations = 0;
    // Three rotations take about twenty seconds; at every look what is there must verify.
    eventually("three rotations", Duration::from_secs(45), || {
        let now = verify(&directory);
        if now != last {
            last = now;
            rotations += 1;
        }
        rotations >= 3
    });
    let left_behind = fs::read_dir(&directory)
        .unwrap()
        .filter(|entry| {
            let entry = entry.as_ref().unwrap();
            entry.file_type().unwrap().is_dir()
        })
        .count();
    assert!(left_behind <= 2, "{left_behind} generations are kept");
}

#[test]
fn private_keys_are_the_owners_alone_and_in_no_document_and_no_log() {
    let stage = Stage::new();
    let operator = stage.start();
    operator.ready();
    for key in ["ca/ca.key", "identities/shop/reviews/tls.key"] {
        let mode = fs::metadata(stage.out().join(key))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    assert!(!operator.log().contains("PRIVATE KEY"));
    for path in stage.written().into_keys() {
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
        }
    }
}

#[test]
fn an_identity_that_was_removed_by_hand_comes_back_and_a_foreign_ca_is_refused() {
    let stage = Stage::new();
    let operator = stage.start();
    operator.ready();
    operator.kill();
    fs::remove_dir_all(stage.out().join("identities/shop/reviews")).unwrap();
    let operator = stage.start();
    operator.ready();
    verify(&stage.out().join("identities/shop/reviews"));
    operator.kill();

    // A key of another CA: nothing is issued with it, and what is there stays.
    let other = Stage::new();
    other.start().ready();
    fs::copy(other.out().join("ca/ca.key"), stage.out().join("ca/ca.key")).unwrap();
    let before = stage.written();
    let operator = stage.start();
    eventually("it says what is wrong", BOUND, || {
        operator
            .log()
            .contains("belongs to none of its certificates")
    });
    assert_eq!(stage.written(), before);
}

/// Verifies what a reader finds at this moment; gives back the certificate.
fn verify(directory: &Path) -> String {
    // Resolved once, as the three must be of one moment.
    let (leaf, bundle) = loop {
        let data = fs::canonicalize(directory.join("..data")).unwrap();
        let read = |name: &str| fs::read_to_string(data.join(name));
        // A swap between the two removes what was resolved: look again.
        if let (Ok(leaf), Ok(bundle), Ok(_)) = (read("tls.crt"), read("ca.crt"), read("tls.key")) {
            break (leaf, bundle);
        }
    };
    let roots: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let der = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
    let certificate = EndEntityCert::try_from(&der).unwrap();
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        certificate
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &anchors,
                &[],
                UnixTime::now(),
                usage,
                None,
                None,
            )
            .unwrap();
    }
    let names: Vec<_> = certificate.valid_uri_names().collect();
    assert_eq!(names, ["spiffe://cluster.local/ns/shop/sa/reviews"]);
    leaf
}
