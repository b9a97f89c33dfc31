//! The client's side of a call to a pod itself.

use std::net::SocketAddr;

use super::{
    Call, DEFAULT_ADDRESS, Departed, JourneyError, Outcome, Request, Sent, World, departure,
};
use crate::{
    compile::CompiledService,
    decide::{Peer, Scope},
    documents::{AddressesDocument, Backend, Document, DocumentName, PodAddress, ServiceRef},
    identity::Workload,
    pod,
    trace::{Observer, Recorder, Step},
};

/// From `source`, or from a client without a proxy, to a pod's own port.
pub(super) fn to_pod(
    world: &World<'_>,
    call: &Call,
    source: Option<&Workload>,
    dialled: SocketAddr,
    request: Option<Request>,
    recorder: &mut Recorder,
) -> Result<Departed, JourneyError> {
    let known = known_at(world, dialled);
    let (known, as_it_is) = match (source, known) {
        (None, _) => (None, "the caller has no proxy: called as it is"),
        (_, None) => (None, "no pod of the mesh: called as it is"),
        (_, Some(known)) if known.takes_only_plaintext(call.port) => {
            (None, "it takes only plaintext there")
        }
        (Some(source), Some(known)) => (Some((source, known)), ""),
    };
    let stands_for = known.and_then(|(_, known)| known.ports.get(&call.port));
    recorder.step(|| Step {
        phase: "pod".to_owned(),
        rule: stands_for.map_or_else(|| dialled.to_string(), name),
        matched: known.is_some(),
        detail: match (known, stands_for) {
            (None, _) => as_it_is.to_owned(),
            (Some(_), Some(_)) => format!("stands for {dialled}"),
            (Some(_), None) => "no Service stands for its port".to_owned(),
        },
    });
    let Some((source, _)) = known else {
        return Ok(as_is(dialled, request));
    };
    let document = stands_for.and_then(|service| {
        let key = DocumentName::Service(service.namespace.clone(), service.name.clone());
        match world.documents.get(&key) {
            Some(Document::Service(document)) => Some(document),
            _ => None,
        }
    });
    let service = document.map(|document| CompiledService::compile(document, &source.namespace).0);
    let port = stands_for.map_or(0, |service| service.port);
    let known = service.as_ref().and_then(|service| service.port(port));
    let plain = pod::without_routes(known, port, Some(&world.mesh.client_policy));
    let routed = document.is_some_and(|document| pod::routes_hold(&document.cluster_ips));
    let compiled = known.filter(|_| routed).unwrap_or(&plain);

    let peer = Peer {
        address: call.source_address.unwrap_or(DEFAULT_ADDRESS),
        identity: None,
        workload: Some(source),
    };
    let meant = Backend {
        service: stands_for.cloned().unwrap_or_default(),
        weight: 1,
        ..Backend::default()
    };
    let whole = || vec![meant.clone()];
    let identity = world.identity(&source.namespace, &source.service_account)?;
    let departed = match request {
        Some(request) if compiled.protocol.is_http() => {
            let scope = Scope::Outbound(compiled);
            departure::http(scope, port, request, &peer, identity, whole, recorder)
        }
        request => {
            let destination = (dialled.ip(), port);
            departure::tcp(
                compiled,
                destination,
                request,
                &peer,
                identity,
                whole,
                recorder,
            )
        }
    };
    Ok(kept(departed, dialled, &meant))
}

fn known_at<'w>(world: &World<'w>, dialled: SocketAddr) -> Option<&'w PodAddress> {
    let shard = AddressesDocument::shard_of(dialled.ip());
    match world.documents.get(&DocumentName::Addresses(shard)) {
        Some(Document::Addresses(document)) => document.pods.get(&dialled.ip()),
        _ => None,
    }
}

/// In plaintext, past every rule of the caller's.
fn as_is(dialled: SocketAddr, request: Option<Request>) -> Departed {
    Departed {
        outcome: Outcome {
            backends: [(dialled.to_string(), 100.0)].into(),
            ..Outcome::default()
        },
        sent: Some(Sent {
            request,
            identity: None,
            backends: Vec::new(),
            pod: Some(dialled.ip()),
        }),
    }
}

/// What was meant for the pod goes to no other behind the same Service.
fn kept(mut departed: Departed, dialled: SocketAddr, meant: &Backend) -> Departed {
    let shares = &mut departed.outcome.backends;
    if let Some(share) = shares.remove(&departure::display(meant)) {
        shares.insert(dialled.to_string(), share);
    }
    if let Some(sent) = &mut departed.sent {
        let is_meant = |backend: &Backend| pod::is_meant(Some(&meant.service), backend);
        let drawn = |backend: &&Backend| backend.weight > 0 && is_meant(backend);
        sent.pod = sent.backends.iter().find(drawn).map(|_| dialled.ip());
        sent.backends.retain(|backend| !is_meant(backend));
    }
    departed
}

fn name(service: &ServiceRef) -> String {
    format!("{}/{}:{}", service.namespace, service.name, service.port)
}
