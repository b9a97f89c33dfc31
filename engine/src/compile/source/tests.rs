use std::net::IpAddr;

use super::{Glob, Polarity, Source};
use crate::{documents::RuleFrom, facts::Peer, identity::SpiffeId};

fn holds(from: &RuleFrom, identity: Option<&str>, address: &str, polarity: Polarity) -> bool {
    let identity: Option<SpiffeId> = identity.map(|id| id.parse().expect("an identity"));
    let peer = Peer {
        address: address.parse::<IpAddr>().expect("an address"),
        identity: identity.as_ref(),
        workload: None,
    };
    Source::compile(from)
        .expect("a valid source")
        .check(&peer, polarity)
        .is_ok()
}

#[test]
fn a_star_stands_for_any_run_of_characters() {
    for (pattern, hits, misses) in [
        ("abc", &["abc"][..], &["ab", "abcd", ""][..]),
        ("*", &["", "a", "spiffe://x"], &[]),
        ("a*", &["a", "abc"], &["ba"]),
        ("*c", &["c", "abc"], &["ca"]),
        ("a*c", &["ac", "abc", "acc"], &["a", "acb"]),
        ("a*b*c", &["abc", "axbxc", "abbc"], &["acb", "ac", "abca"]),
        ("ab*ba", &["abba", "abxba"], &["aba", "ab"]),
        ("a**c", &["ac", "abc"], &["ab"]),
    ] {
        for text in hits {
            assert!(Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        for text in misses {
            assert!(!Glob::new(pattern).matches(text), "{pattern} {text}");
        }
    }
}

#[test]
fn a_caller_without_identity_is_let_in_by_no_condition_on_identity() {
    let strings = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    for from in [
        RuleFrom {
            service_accounts: strings(&["*/*"]),
            ..RuleFrom::default()
        },
        RuleFrom {
            namespaces: strings(&["shop"]),
            ..RuleFrom::default()
        },
        RuleFrom {
            principals: strings(&["*"]),
            ..RuleFrom::default()
        },
        RuleFrom {
            not_service_accounts: strings(&["shop/evil"]),
            ..RuleFrom::default()
        },
        RuleFrom {
            not_namespaces: strings(&["other"]),
            ..RuleFrom::default()
        },
        RuleFrom {
            not_principals: strings(&["spiffe://evil/*"]),
            ..RuleFrom::default()
        },
    ] {
        assert!(
            !holds(&from, None, "10.0.0.1", Polarity::Permit),
            "{from:?}"
        );
    }
}

#[test]
fn a_deny_of_all_but_somebody_takes_a_caller_without_identity() {
    let from = RuleFrom {
        not_namespaces: vec!["shop".to_owned()],
        ..RuleFrom::default()
    };
    assert!(holds(&from, None, "10.0.0.1", Polarity::Refuse));
    let named = RuleFrom {
        namespaces: vec!["shop".to_owned()],
        ..RuleFrom::default()
    };
    assert!(!holds(&named, None, "10.0.0.1", Polarity::Refuse));
}

#[test]
fn an_ipv4_address_in_ipv6_dress_is_the_ipv4_address() {
    let from = RuleFrom {
        ip_blocks: vec!["10.0.0.0/8".parse().expect("a block")],
        ..RuleFrom::default()
    };
    assert!(holds(&from, None, "::ffff:10.1.2.3", Polarity::Permit));
    assert!(!holds(&from, None, "::ffff:11.1.2.3", Polarity::Permit));
    let mapped = RuleFrom {
        ip_blocks: vec!["::ffff:10.0.0.0/104".parse().expect("a block")],
        ..RuleFrom::default()
    };
    assert!(holds(&mapped, None, "10.1.2.3", Polarity::Permit));
}

#[test]
fn a_source_that_could_never_match_is_refused() {
    let one = |value: &str| vec![value.to_owned()];
    for from in [
        RuleFrom {
            service_accounts: one("frontend"),
            ..RuleFrom::default()
        },
        RuleFrom {
            service_accounts: one("shop/front*"),
            ..RuleFrom::default()
        },
        RuleFrom {
            service_accounts: one("a/b/c"),
            ..RuleFrom::default()
        },
        RuleFrom {
            namespaces: one("shop*"),
            ..RuleFrom::default()
        },
        RuleFrom {
            principals: one("cluster.local/ns/a/sa/b"),
            ..RuleFrom::default()
        },
        RuleFrom {
            not_service_accounts: one("/x"),
            ..RuleFrom::default()
        },
    ] {
        assert!(Source::compile(&from).is_err(), "{from:?}");
    }
}
