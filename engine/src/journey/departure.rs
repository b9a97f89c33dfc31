//! The client's side of a call: routed, and at a gateway authorized.

use std::net::{IpAddr, Ipv4Addr};

use super::{Call, DEFAULT_ADDRESS, Departed, JourneyError, Outcome, Request, Sent, World};
use crate::{
    compile::{CompiledAction, CompiledGateway, CompiledListener, CompiledPort, CompiledService},
    decide::{HttpDecision, HttpFacts, Peer, Reason, Scope, Verdict, decide_http, decide_tcp},
    documents::{Backend, Document, DocumentName, ServiceDocument, ServiceRef},
    identity::{SpiffeId, Workload},
    trace::Recorder,
};

/// From a client without a proxy: nothing routes it and nothing vouches for it.
pub(super) fn unmeshed(
    world: &World<'_>,
    call: &Call,
    request: Option<Request>,
) -> Result<Departed, JourneyError> {
    let (document, _) = service(world, call)?;
    let backends = vec![whole_service(document, call.port)];
    Ok(Departed {
        outcome: shares(&backends, None),
        sent: Some(Sent {
            request,
            identity: None,
            backends,
            pod: None,
        }),
    })
}

/// From a workload with a proxy beside it.
pub(super) fn from_workload(
    world: &World<'_>,
    call: &Call,
    source: &Workload,
    request: Option<Request>,
    recorder: &mut Recorder,
) -> Result<Departed, JourneyError> {
    let identity = world.identity(&source.namespace, &source.service_account)?;
    let (document, address) = service(world, call)?;
    let (service, _) = CompiledService::compile(document, &source.namespace);
    let port = service.port(call.port).ok_or_else(|| not_found(call))?;
    let peer = Peer {
        address: call.source_address.unwrap_or(DEFAULT_ADDRESS),
        identity: None,
        workload: Some(source),
    };
    let whole = || vec![whole_service(document, call.port)];
    match request {
        Some(request) if port.protocol.is_http() => {
            let scope = Scope::Outbound(port);
            Ok(http(
                scope, call.port, request, &peer, identity, whole, recorder,
            ))
        }
        request => Ok(tcp(
            port,
            (address, call.port),
            request,
            &peer,
            identity,
            whole,
            recorder,
        )),
    }
}

/// From a client outside the cluster.
pub(super) fn at_gateway(
    world: &World<'_>,
    call: &Call,
    gateway: &str,
    request: Option<Request>,
    recorder: &mut Recorder,
) -> Result<Departed, JourneyError> {
    let missing = || JourneyError::NotFound(format!("gateway {gateway} with port {}", call.port));
    let (namespace, name) = gateway.split_once('/').ok_or_else(missing)?;
    let key = DocumentName::Gateway(namespace.to_owned(), name.to_owned());
    let Some(Document::Gateway(document)) = world.documents.get(&key) else {
        return Err(missing());
    };
    let (compiled, _) = CompiledGateway::compile(document);
    let first = compiled
        .listeners
        .iter()
        .find(|listener| listener.port == call.port)
        .ok_or_else(missing)?;
    let Some(request) = request else {
        return Ok(answered(Outcome::default(), 404));
    };
    // A host that no listener serves meets the first, which says so.
    let listener: &CompiledListener = compiled
        .listener_for(call.port, &request.authority)
        .unwrap_or(first);
    let peer = Peer {
        address: call.source_address.unwrap_or(DEFAULT_ADDRESS),
        identity: None,
        workload: None,
    };
    let scope = Scope::Gateway(listener);
    let identity = world.identity(namespace, name)?;
    let nowhere = Vec::new;
    Ok(http(
        scope, call.port, request, &peer, identity, nowhere, recorder,
    ))
}

pub(super) fn http(
    scope: Scope<'_>,
    port: u16,
    mut request: Request,
    peer: &Peer<'_>,
    identity: SpiffeId,
    whole: impl Fn() -> Vec<Backend>,
    recorder: &mut Recorder,
) -> Departed {
    // The decision borrows what the rule then changes.
    let asked = request.clone();
    let facts = HttpFacts {
        method: &asked.method,
        authority: &asked.authority,
        path_and_query: &asked.path_and_query,
        headers: &asked.headers,
    };
    let decision: HttpDecision<'_, '_> = decide_http(scope, &facts, peer, recorder);
    let mut outcome = Outcome {
        route: decision.rule().map(|rule| rule.id.to_string()),
        would_deny: would_deny(&decision.reasons),
        ..Outcome::default()
    };
    let rule = match &decision.verdict {
        Verdict::Malformed(_) => return answered(outcome, 400),
        Verdict::NoRoute => return answered(outcome, 404),
        Verdict::Denied(denial) => {
            outcome.denied_by = Some(denial.to_string());
            return answered(outcome, 403);
        }
        Verdict::Proceed(rule) => rule,
    };
    let backends = match rule {
        None => whole(),
        Some(rule) => {
            match &rule.action {
                CompiledAction::Redirect(redirect) => {
                    outcome.location = decision.location("http", &asked.authority, port);
                    return answered(outcome, redirect.status.as_u16());
                }
                CompiledAction::DirectResponse(response) => {
                    return answered(outcome, response.status.as_u16());
                }
                CompiledAction::Forward => {}
            }
            rule.request_headers.apply(&mut request.headers);
            if let Some(authority) = &rule.rewrite_authority {
                request.authority = authority.to_string();
            }
            rule.backends().to_vec()
        }
    };
    request.path_and_query = decision.forwarded_path().into_owned();
    forwarded(outcome, Some(request), identity, backends)
}

pub(super) fn tcp(
    port: &CompiledPort,
    destination: (IpAddr, u16),
    request: Option<Request>,
    peer: &Peer<'_>,
    identity: SpiffeId,
    whole: impl Fn() -> Vec<Backend>,
    recorder: &mut Recorder,
) -> Departed {
    let decision = decide_tcp(Scope::Outbound(port), destination, peer, recorder);
    let mut outcome = Outcome::default();
    let backends = match decision.verdict {
        Verdict::Proceed(None) => whole(),
        Verdict::Proceed(Some(rule)) => {
            outcome.route = Some(rule.id.to_string());
            rule.backends.clone()
        }
        Verdict::NoRoute => return answered(outcome, 404),
        // The client's side does not authorize, and there is no request to be malformed.
        Verdict::Denied(_) | Verdict::Malformed(_) => return answered(outcome, 403),
    };
    forwarded(outcome, request, identity, backends)
}

fn answered(outcome: Outcome, status: u16) -> Departed {
    Departed {
        outcome: Outcome {
            status: Some(status),
            ..outcome
        },
        sent: None,
    }
}

/// To the backends. One that does not resolve answers 500 to its share, which is the stricter
/// outcome of the draw.
fn forwarded(
    outcome: Outcome,
    request: Option<Request>,
    identity: SpiffeId,
    backends: Vec<Backend>,
) -> Departed {
    let outcome = Outcome {
        backends: shares(&backends, outcome.route.clone()).backends,
        ..outcome
    };
    let mut drawn = backends
        .iter()
        .filter(|backend| backend.weight > 0)
        .peekable();
    if drawn.peek().is_none() || drawn.any(|backend| backend.invalid) {
        return answered(outcome, 500);
    }
    Departed {
        outcome,
        sent: Some(Sent {
            request,
            identity: Some(identity),
            backends,
            pod: None,
        }),
    }
}

fn shares(backends: &[Backend], route: Option<String>) -> Outcome {
    let total: f64 = backends
        .iter()
        .map(|backend| f64::from(backend.weight))
        .sum();
    let mut outcome = Outcome {
        route,
        ..Outcome::default()
    };
    for backend in backends.iter().filter(|backend| backend.weight > 0) {
        let share = f64::from(backend.weight) * 100.0 / total;
        *outcome.backends.entry(display(backend)).or_default() += share;
    }
    outcome
}

pub(super) fn display(backend: &Backend) -> String {
    let ServiceRef {
        namespace,
        name,
        port,
    } = &backend.service;
    let labels: Vec<_> = backend
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if labels.is_empty() {
        format!("{namespace}/{name}:{port}")
    } else {
        format!("{namespace}/{name}:{port}{{{}}}", labels.join(","))
    }
}

pub(super) fn would_deny(reasons: &[Reason<'_>]) -> Vec<String> {
    reasons
        .iter()
        .filter(|reason| reason.would_deny())
        .map(|reason| {
            let rule = if reason.rule.is_empty() {
                "-"
            } else {
                reason.rule
            };
            format!("{}/{rule}", reason.policy)
        })
        .collect()
}

fn whole_service(document: &ServiceDocument, port: u16) -> Backend {
    Backend {
        service: ServiceRef {
            namespace: document.namespace.clone(),
            name: document.name.clone(),
            port,
        },
        weight: 1,
        ..Backend::default()
    }
}

/// The service called and the address that its clients dial.
fn service<'w>(
    world: &World<'w>,
    call: &Call,
) -> Result<(&'w ServiceDocument, IpAddr), JourneyError> {
    let (namespace, name) = call
        .service
        .split_once('/')
        .ok_or_else(|| not_found(call))?;
    let key = DocumentName::Service(namespace.to_owned(), name.to_owned());
    match world.documents.get(&key) {
        Some(Document::Service(document))
            if document.ports.iter().any(|port| port.port == call.port) =>
        {
            let address = document.cluster_ips.first().copied();
            Ok((
                document,
                address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            ))
        }
        _ => Err(not_found(call)),
    }
}

fn not_found(call: &Call) -> JourneyError {
    JourneyError::NotFound(format!("service {} with port {}", call.service, call.port))
}
