use http::HeaderMap;
use serde_json::json;

use super::*;
use crate::{
    compile::CompiledInbound,
    decide::{Denial, HttpFacts, Peer, Scope, Verdict, decide_http},
    documents::{Endpoint, EndpointGroup, Labels, MtlsMode, MtlsPolicy},
    identity::Workload,
    problem::Severity,
};

fn endpoints() -> Document {
    Document::Endpoints(EndpointsDocument {
        namespace: "shop".to_owned(),
        name: "reviews".to_owned(),
        shard: 0,
        groups: vec![EndpointGroup {
            ports: [(9080, 8080), (80, 8081)].into(),
            endpoints: vec![Endpoint {
                address: [127, 1, 0, 1].into(),
                identity: None,
                zone: None,
                labels: Labels::default(),
                ready: true,
            }],
        }],
    })
}

#[test]
fn what_is_sealed_can_be_read_back_maps_by_port_included() {
    let inbound = Document::Inbound(InboundDocument {
        namespace: "shop".to_owned(),
        mtls: vec![MtlsPolicy {
            ports: [(9090, MtlsMode::Permissive)].into(),
            ..MtlsPolicy::default()
        }],
        ..InboundDocument::default()
    });
    for document in [
        endpoints(),
        inbound,
        Document::Mesh(MeshDocument::default()),
    ] {
        let sealed = Envelope::seal(document);
        let read = Envelope::from_json(&sealed.to_json()).expect("what we wrote");
        assert_eq!(read, sealed);
    }
}

#[test]
fn a_changed_byte_is_noticed_and_an_unknown_field_is_not_fatal() {
    let json = Envelope::seal(endpoints()).to_json();
    let changed = json.replace("8080", "8082");
    assert!(matches!(
        Envelope::from_json(&changed),
        Err(EnvelopeError::Digest { .. })
    ));
    let newer = json.replace("\"shard\":0", "\"shard\":0,\"colour\":\"red\"");
    let read = Envelope::from_json(&newer).expect("a newer writer's document");
    assert_eq!(read.unknown_fields(&newer), [".spec.colour"]);
}

/// What becomes of GET / at a workload that this one stored policy selects.
fn decided_by(
    policy: &Value,
    mesh_wide: bool,
    check: impl FnOnce(&Verdict<'_, crate::compile::CompiledHttpRule>, usize),
) {
    let authorization = json!([policy]);
    let (kind, spec) = if mesh_wide {
        (
            "Mesh",
            json!({"trustDomain": "c.l", "authorization": authorization}),
        )
    } else {
        (
            "Inbound",
            json!({"namespace": "shop", "authorization": authorization}),
        )
    };
    let text = json!({"apiVersion": "weft.dev/config/v1", "digest": "of a newer build", "kind": kind, "spec": spec});
    let document: Envelope = serde_json::from_str(&text.to_string()).expect("a document");
    let (mut inbound, mut mesh) = (InboundDocument::default(), MeshDocument::default());
    match document.document {
        Document::Inbound(document) => inbound = document,
        Document::Mesh(document) => mesh = document,
        other => panic!("{other:?}"),
    }
    let (compiled, problems) = CompiledInbound::compile(&inbound, &mesh, &Workload::default());
    let headers = HeaderMap::new();
    let facts = HttpFacts {
        method: "GET",
        authority: "web.shop",
        path_and_query: "/",
        headers: &headers,
    };
    let peer = Peer {
        address: [10, 0, 0, 1].into(),
        identity: None,
        workload: None,
    };
    let decision = decide_http(Scope::Inbound(&compiled, 80), &facts, &peer, &mut ());
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    check(&decision.verdict, errors.count());
}

#[test]
fn a_policy_with_fields_of_a_newer_operator_refuses_everything_and_says_so() {
    let allow_all = json!({"id": "shop/p", "action": "Allow", "rules": [{"name": "all"}]});
    let deny_none = json!({"id": "shop/p", "action": "Deny", "rules": []});
    let with = |policy: &Value, pointer: &str, field: &str, value: Value| {
        let mut policy = policy.clone();
        let place = policy.pointer_mut(pointer).expect("a place in the policy");
        place[field] = value;
        policy
    };
    let from = with(
        &allow_all,
        "/rules/0",
        "from",
        json!([{"ipBlocks": ["10.0.0.0/8"]}]),
    );
    let to = with(&allow_all, "/rules/0", "to", json!([{"methods": ["GET"]}]));
    for newer in [
        with(&allow_all, "", "conditions", json!([])),
        with(&deny_none, "", "conditions", json!([])),
        with(&allow_all, "/rules/0", "jwt", json!({"issuer": "x"})),
        with(&from, "/rules/0/from/0", "notJwt", json!(null)),
        with(&to, "/rules/0/to/0", "queries", json!([])),
    ] {
        for mesh_wide in [false, true] {
            decided_by(&newer, mesh_wide, |verdict, errors| {
                let Verdict::Denied(denial) = verdict else {
                    panic!("{newer} lets in: {verdict:?}");
                };
                assert_eq!(*denial, Denial::InvalidPolicy { policy: "shop/p" });
                assert_eq!(errors, 1, "{newer}");
            });
        }
    }
}

#[test]
fn a_known_field_with_its_default_value_is_known() {
    let written_out = json!({"id": "shop/p", "selector": "all", "action": "Allow", "mode": "Enforce", "rules": [
        {"name": "all", "headers": [], "from": [{"serviceAccounts": [], "notIpBlocks": []}], "to": [{"ports": [], "methods": []}]}]});
    decided_by(&written_out, false, |verdict, errors| {
        assert!(matches!(verdict, Verdict::Proceed(None)), "{verdict:?}");
        assert_eq!(errors, 0);
    });
}
