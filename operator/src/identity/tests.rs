use std::{os::unix::fs::PermissionsExt, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;
use weft_engine::identity::SpiffeId;
use zeroize::Zeroizing;

use super::{
    Account, Authority, AuthorityError, Identity, IdentityStore, StoredAuthority, Verdict, Volumes,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn authority() -> Authority {
    let stored = Authority::generate("cluster.local", now()).unwrap();
    Authority::load(&stored, "cluster.local", now()).unwrap()
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", name).unwrap()
}

fn reissued(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Reissue(reason) => reason,
        Verdict::Keep { .. } => panic!("it was kept"),
    }
}

/// A root, and an intermediate that it issued, as an existing PKI would give one.
fn intermediate() -> (StoredAuthority, String) {
    let ca = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let root_params = ca("root");
    let root = root_params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root_params, root_key);
    let key = KeyPair::generate().unwrap();
    let signer = ca("intermediate").signed_by(&key, &issuer).unwrap();
    let stored = StoredAuthority {
        chain: signer.pem(),
        key: Zeroizing::new(key.serialize_pem()),
        roots: root.pem(),
    };
    (stored, signer.pem())
}

#[test]
fn an_identity_names_its_account_alone_and_verifies_against_the_bundle() {
    let authority = authority();
    let identity = authority.issue(&id("reviews"), DAY, now()).unwrap();
    let verdict = identity.judge(&authority, &id("reviews"), DAY, now());
    assert!(matches!(verdict, Verdict::Keep { .. }), "{verdict:?}");
    assert_eq!(
        reissued(identity.judge(&authority, &id("ratings"), DAY, now())),
        "it names somebody else"
    );
    assert_eq!(identity.bundle, authority.bundle());
}

#[test]
fn an_identity_is_issued_again_when_two_thirds_of_its_life_are_over() {
    let authority = authority();
    let start = now();
    let identity = authority.issue(&id("reviews"), DAY, start).unwrap();
    let Verdict::Keep { until } = identity.judge(&authority, &id("reviews"), DAY, start) else {
        panic!("a new identity was not kept");
    };
    let share = (until - start).as_seconds_f64() / DAY.as_secs_f64();
    assert!((0.59..0.67).contains(&share), "at {share} of its life");
    // A restart computes the same moment.
    let again = identity.judge(&authority, &id("reviews"), DAY, start + DAY / 2);
    assert_eq!(again, Verdict::Keep { until });
    assert_eq!(
        reissued(identity.judge(&authority, &id("reviews"), DAY, until)),
        "two thirds of its lifetime are over"
    );
}

#[test]
fn identities_that_were_issued_together_are_not_rotated_together() {
    let authority = authority();
    let start = now();
    let mut moments: Vec<_> = (0..8)
        .map(|_| {
            let identity = authority.issue(&id("reviews"), DAY, start).unwrap();
            match identity.judge(&authority, &id("reviews"), DAY, start) {
                Verdict::Keep { until } => until,
                Verdict::Reissue(reason) => panic!("{reason}"),
            }
        })
        .collect();
    moments.sort();
    moments.dedup();
    assert!(moments.len() > 4, "{} moments of 8", moments.len());
}

#[test]
fn a_leaf_of_a_minute_is_valid_now_and_for_most_of_the_minute() {
    let authority = authority();
    let minute = Duration::from_secs(60);
    let start = now();
    let identity = authority.issue(&id("reviews"), minute, start).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(identity.chain.as_bytes()).unwrap();
    let leaf = pem.parse_x509().unwrap();
    let backdated = start - leaf.validity().not_before.to_datetime();
    assert!(backdated <= Duration::from_secs(7), "{backdated}");
    let left = leaf.validity().not_after.to_datetime() - start;
    assert!(left >= Duration::from_secs(59), "{left}");
}

#[test]
fn another_ca_a_swapped_key_or_a_shorter_lifetime_means_a_new_identity() {
    let (ours, theirs) = (authority(), authority());
    let identity = ours.issue(&id("reviews"), DAY, now()).unwrap();
    assert_eq!(
        reissued(identity.judge(&theirs, &id("reviews"), DAY, now())),
        "the trusted roots changed"
    );
    let forged = Identity {
        bundle: theirs.bundle().to_owned(),
        ..identity.clone()
    };
    assert_eq!(
        reissued(forged.judge(&theirs, &id("reviews"), DAY, now())),
        "it does not verify against the trusted roots"
    );
    let swapped = Identity {
        key: ours.issue(&id("reviews"), DAY, now()).unwrap().key,
        ..identity.clone()
    };
    assert_eq!(
        reissued(swapped.judge(&ours, &id("reviews"), DAY, now())),
        "its private key is another certificate's"
    );
    assert_eq!(
        reissued(identity.judge(&ours, &id("reviews"), Duration::from_secs(60), now())),
        "it lives longer than is now configured"
    );
    let broken = Identity {
        chain: "nonsense".to_owned(),
        ..identity
    };
    assert_eq!(
        reissued(broken.judge(&ours, &id("reviews"), DAY, now())),
        "it has no certificate"
    );
}

#[test]
fn no_identity_outlives_its_ca() {
    let stored = Authority::generate("cluster.local", now()).unwrap();
    let late = now() + time::Duration::days(10 * 365) - time::Duration::hours(1);
    let authority = Authority::load(&stored, "cluster.local", late).unwrap();
    let identity = authority.issue(&id("reviews"), DAY, late).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(identity.chain.as_bytes()).unwrap();
    let ends = pem.parse_x509().unwrap().validity().not_after.to_datetime();
    assert!(ends <= authority.not_after());
}

#[test]
fn an_intermediate_of_an_existing_ca_issues_identities_that_bring_their_chain() {
    let (stored, signer) = intermediate();
    let authority = Authority::load(&stored, "cluster.local", now()).unwrap();
    let identity = authority.issue(&id("reviews"), DAY, now()).unwrap();
    assert!(identity.chain.ends_with(&signer), "the chain is cut");
    assert!(matches!(
        identity.judge(&authority, &id("reviews"), DAY, now()),
        Verdict::Keep { .. }
    ));
}

#[test]
fn several_roots_are_trusted_while_one_replaces_another() {
    let old = Authority::generate("cluster.local", now()).unwrap();
    let mut new = Authority::generate("cluster.local", now()).unwrap();
    new.roots = format!("{}{}", old.roots, new.roots);
    let authority = Authority::load(&new, "cluster.local", now()).unwrap();
    assert_eq!(authority.bundle().matches("BEGIN CERTIFICATE").count(), 2);
    // The order in which the roots were given makes no difference: nothing is issued for it.
    let reversed = StoredAuthority {
        roots: format!("{}{}", new.chain, old.chain),
        ..new
    };
    let again = Authority::load(&reversed, "cluster.local", now()).unwrap();
    assert!(authority.same_as(&again));
}

#[test]
fn a_ca_that_cannot_do_its_work_is_refused_with_the_reason() {
    let good = Authority::generate("cluster.local", now()).unwrap();
    let other = Authority::generate("cluster.local", now()).unwrap();
    let refused = |stored: StoredAuthority, at: OffsetDateTime| {
        Authority::load(&stored, "cluster.local", at).unwrap_err()
    };
    let mismatch = StoredAuthority {
        key: other.key.clone(),
        ..good.clone()
    };
    assert!(matches!(
        refused(mismatch, now()),
        AuthorityError::KeyMismatch
    ));

    let late = now() + time::Duration::days(11 * 365);
    assert!(matches!(
        refused(good.clone(), late),
        AuthorityError::Expired(_)
    ));

    let empty = StoredAuthority {
        roots: String::new(),
        ..good.clone()
    };
    assert!(matches!(
        refused(empty, now()),
        AuthorityError::Unreadable { .. }
    ));

    let (mut stray, _) = intermediate();
    stray.roots.clone_from(&other.roots);
    assert!(matches!(refused(stray, now()), AuthorityError::NoPath));

    let authority = Authority::load(&good, "cluster.local", now()).unwrap();
    let leaf = authority.issue(&id("reviews"), DAY, now()).unwrap();
    let not_a_ca = StoredAuthority {
        chain: leaf.chain,
        key: leaf.key,
        roots: good.roots,
    };
    assert!(matches!(
        refused(not_a_ca, now()),
        AuthorityError::NotACa(_)
    ));
}

#[test]
fn nothing_secret_is_in_what_debug_prints() {
    let stored = Authority::generate("cluster.local", now()).unwrap();
    let authority = Authority::load(&stored, "cluster.local", now()).unwrap();
    let identity = authority.issue(&id("reviews"), DAY, now()).unwrap();
    let printed = format!("{stored:?} {authority:?} {identity:?}");
    assert!(!printed.contains("KEY"), "{printed}");
    let secret = identity.key.lines().nth(1).unwrap();
    assert!(!printed.contains(secret));
}

#[tokio::test]
async fn an_identity_is_laid_out_as_a_secret_volume_and_swapped_as_one() {
    let out = tempfile::tempdir().unwrap();
    let volumes = Volumes::new(out.path());
    let authority = authority();
    let account = Account {
        namespace: "shop".to_owned(),
        name: "reviews".to_owned(),
    };
    assert!(volumes.read(&account).await.unwrap().is_none());

    let first = authority.issue(&id("reviews"), DAY, now()).unwrap();
    volumes.write(&account, &first).await.unwrap();
    let directory = out.path().join("identities/shop/reviews");
    let target = |name: &str| std::fs::read_link(directory.join(name)).unwrap();
    let before = target("..data");
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        assert_eq!(target(name), std::path::Path::new("..data").join(name));
    }
    let mode = std::fs::metadata(directory.join("tls.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = authority.issue(&id("reviews"), DAY, now()).unwrap();
    volumes.write(&account, &second).await.unwrap();
    assert_ne!(target("..data"), before);
    assert!(
        !directory.join(before).exists(),
        "the old one is left behind"
    );
    let read = volumes.read(&account).await.unwrap().unwrap();
    assert_eq!(read.chain, second.chain);
    assert_eq!(*read.key, *second.key);

    assert_eq!(
        volumes.list().await.unwrap(),
        std::slice::from_ref(&account)
    );
    volumes.remove(&account).await.unwrap();
    volumes.remove(&account).await.unwrap();
    assert!(volumes.list().await.unwrap().is_empty());
}
