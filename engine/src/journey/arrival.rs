//! The server's side of a call: each distinct workload behind the backends decides.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Call, DEFAULT_ADDRESS, Outcome, Sent, World, departure::would_deny};
use crate::{
    compile::CompiledInbound,
    decide::{HttpFacts, Peer, Scope, Verdict, decide_http, decide_tcp},
    documents::{Backend, Document, DocumentName, InboundDocument, MtlsMode},
    identity::Workload,
    trace::{Observer, Recorder, Step},
};

/// Adds what the servers say to the outcome.
pub(super) fn arrive(
    world: &World<'_>,
    call: &Call,
    sent: &Sent,
    outcome: &mut Outcome,
    recorder: &mut Recorder,
) {
    // What an application without a proxy sees, and what a server's decision then replaces.
    outcome.path = sent
        .request
        .as_ref()
        .map(|request| request.path_and_query.clone());
    let mut asked = BTreeSet::new();
    let drawn = sent.backends.iter().filter(|backend| backend.weight > 0);
    let balanced = drawn.map(|backend| workloads(world, backend).collect());
    let dialled = sent.pod.map(|address| pod(world, address, call.port));
    for servers in dialled.into_iter().chain(balanced) {
        for (server, port) in servers {
            let who = (
                &server.namespace,
                &server.service_account,
                &server.labels,
                port,
            );
            if !asked.insert(who) {
                continue;
            }
            recorder.step(|| Step {
                phase: "server".to_owned(),
                rule: format!("{}/{}", server.namespace, server.service_account),
                matched: true,
                detail: format!("port {port}, labels {:?}", server.labels),
            });
            let answer = at_server(world, call, sent, server, port, recorder);
            for policy in answer.would_deny {
                if !outcome.would_deny.contains(&policy) {
                    outcome.would_deny.push(policy);
                }
            }
            // An answer of the mesh is stricter than none; among answers the first stands.
            if outcome.status.is_none() {
                outcome.status = answer.status;
                outcome.denied_by = answer.denied_by;
                outcome.path = answer.path;
            }
        }
    }
}

/// The meshed workload at an address.
fn pod<'w>(world: &World<'w>, address: IpAddr, port: u16) -> Vec<(&'w Workload, u16)> {
    let there = world.servers.get(&address.to_string());
    let there = there.and_then(|pods| pods.first());
    there
        .map(|(workload, _)| (workload, port))
        .into_iter()
        .collect()
}

/// The meshed workloads of a backend with the pod's own port.
fn workloads<'w>(
    world: &World<'w>,
    backend: &'w Backend,
) -> impl Iterator<Item = (&'w Workload, u16)> {
    let key = format!("{}/{}", backend.service.namespace, backend.service.name);
    let behind = world.servers.get(&key).map_or(&[][..], |servers| servers);
    behind.iter().filter_map(move |(workload, ports)| {
        let in_subset = backend
            .labels
            .iter()
            .all(|(key, value)| workload.labels.get(key).is_some_and(|of| of == value));
        let port = ports.get(&backend.service.port)?;
        in_subset.then_some((workload, *port))
    })
}

fn at_server(
    world: &World<'_>,
    call: &Call,
    sent: &Sent,
    server: &Workload,
    port: u16,
    recorder: &mut Recorder,
) -> Outcome {
    let key = DocumentName::Inbound(server.namespace.clone());
    let nothing = InboundDocument::default();
    let document = match world.documents.get(&key) {
        Some(Document::Inbound(document)) => document,
        _ => &nothing,
    };
    let (inbound, _) = CompiledInbound::compile(document, &world.mesh, server);
    let mode = inbound.mtls(port);
    let refused = mode == MtlsMode::Strict && sent.identity.is_none();
    recorder.step(|| Step {
        phase: "mtls".to_owned(),
        rule: format!("{mode:?}"),
        matched: !refused,
        detail: match &sent.identity {
            Some(_) if mode == MtlsMode::Disabled => "called in plaintext".to_owned(),
            Some(identity) => identity.to_string(),
            None => "the caller proves no identity".to_owned(),
        },
    });
    if refused {
        return Outcome {
            status: Some(403),
            denied_by: Some(inbound.plaintext_denied_by(port).into_owned()),
            ..Outcome::default()
        };
    }
    let peer = Peer {
        address: call.source_address.unwrap_or(DEFAULT_ADDRESS),
        identity: sent
            .identity
            .as_ref()
            .filter(|_| mode != MtlsMode::Disabled),
        workload: None,
    };
    let scope = Scope::Inbound(&inbound, port);
    match &sent.request {
        Some(request) if inbound.protocol(port).is_http() => {
            let facts = HttpFacts {
                method: &request.method,
                authority: &request.authority,
                path_and_query: &request.path_and_query,
                headers: &request.headers,
            };
            let decision = decide_http(scope, &facts, &peer, recorder);
            let passes = matches!(decision.verdict, Verdict::Proceed(_));
            Outcome {
                would_deny: would_deny(&decision.reasons),
                path: passes.then(|| decision.path_and_query.to_string()),
                ..answer(&decision.verdict)
            }
        }
        request => {
            // A server's own decision does not look at the address that the client dialled.
            let decision = decide_tcp(scope, (peer.address, port), &peer, recorder);
            let passes = matches!(decision.verdict, Verdict::Proceed(_));
            let path = request
                .as_ref()
                .map(|request| request.path_and_query.clone());
            Outcome {
                would_deny: would_deny(&decision.reasons),
                path: path.filter(|_| passes),
                ..answer(&decision.verdict)
            }
        }
    }
}

fn answer<R>(verdict: &Verdict<'_, R>) -> Outcome {
    let (status, denied_by) = match verdict {
        Verdict::Proceed(_) => (None, None),
        Verdict::NoRoute => (Some(404), None),
        Verdict::Denied(denial) => (Some(403), Some(denial.to_string())),
        Verdict::Malformed(_) => (Some(400), None),
    };
    Outcome {
        status,
        denied_by,
        ..Outcome::default()
    }
}
