use std::collections::BTreeMap;

use super::*;
use crate::documents::{Endpoint, EndpointGroup, MtlsMode, MtlsPolicy};

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
                labels: BTreeMap::new(),
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
