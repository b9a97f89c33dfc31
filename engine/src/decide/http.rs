//! Deciding an HTTP request.

use std::borrow::Cow;

use super::{
    authorize::authorize,
    verdict::{HttpDecision, RequestRejection, Scope, Verdict},
};
use crate::{
    authority,
    compile::{CompiledHttpRule, Match, RouteTable, split_query},
    facts::{HttpFacts, NormalHttp, Peer, Traffic},
    path,
    trace::{Observer, Step},
};

/// Decides an HTTP request.
///
/// In order: target and host are normalised or refused; where the scope routes, the rule is
/// found; where it authorizes, the policies are asked. Allocates nothing for a request whose
/// target and host are in normal form and that no policy has anything to say about.
pub fn decide_http<'c, 'r>(
    scope: Scope<'c>,
    request: &HttpFacts<'r>,
    peer: &Peer<'_>,
    observer: &mut impl Observer,
) -> HttpDecision<'c, 'r> {
    let mut decision = HttpDecision {
        verdict: Verdict::NoRoute,
        path_and_query: Cow::Borrowed(""),
        matched_prefix: 0,
        reasons: Vec::new(),
    };
    let (target, host) = match normalise(request) {
        Ok(normal) => normal,
        Err(rejection) => {
            observer.step(|| Step {
                phase: "path".to_owned(),
                rule: String::new(),
                matched: false,
                detail: rejection.to_string(),
            });
            decision.verdict = Verdict::Malformed(rejection);
            return decision;
        }
    };
    observer.step(|| Step {
        phase: "path".to_owned(),
        rule: String::new(),
        matched: true,
        detail: format!("{target} on host `{host}`"),
    });
    let (path, query) = split_query(&target);
    let normal = NormalHttp {
        method: request.method,
        host: &host,
        path,
        query,
        headers: request.headers,
    };

    let (routes, guard) = match scope {
        Scope::Outbound(port) => (port.http.as_deref(), None),
        Scope::Inbound(inbound, port) => (None, Some((&inbound.authorization, port))),
        Scope::Gateway(listener) => {
            let served = listener
                .host
                .as_ref()
                .is_some_and(|pattern| pattern.matches(&host));
            if !served {
                observer.step(|| Step {
                    phase: "route".to_owned(),
                    rule: String::new(),
                    matched: false,
                    detail: format!("listener {} does not serve `{host}`", listener.name),
                });
                decision.path_and_query = target;
                return decision;
            }
            (
                Some(&listener.http),
                Some((&*listener.authorization, listener.port)),
            )
        }
    };
    let rule = match routes.map(|routes| route(routes, &normal, peer, observer)) {
        None => None,
        Some(Some((rule, prefix))) => {
            decision.matched_prefix = prefix;
            Some(rule)
        }
        Some(None) => {
            decision.path_and_query = target;
            return decision;
        }
    };
    let denial = guard.and_then(|(policies, port)| {
        let traffic = Traffic {
            http: Some(&normal),
            port,
            peer,
        };
        authorize(policies, &traffic, &mut decision.reasons, observer)
    });
    decision.verdict = match denial {
        Some(denial) => Verdict::Denied(denial),
        None => Verdict::Proceed(rule),
    };
    decision.path_and_query = target;
    decision
}

/// The target and the host in their one form.
fn normalise<'r>(
    request: &HttpFacts<'r>,
) -> Result<(Cow<'r, str>, Cow<'r, str>), RequestRejection> {
    let host = authority::host(request.authority)?;
    let target = request.path_and_query;
    // The only target that is no path (RFC 9110 9.3.7).
    if target == "*" && request.method == "OPTIONS" {
        return Ok((Cow::Borrowed(target), host));
    }
    let (path, query) = split_query(target);
    if let Some(query) = query {
        path::check_query(query)?;
    }
    let target = match (path::normalise(path)?, query) {
        (Cow::Borrowed(_), _) => Cow::Borrowed(target),
        (Cow::Owned(path), None) => Cow::Owned(path),
        (Cow::Owned(path), Some(query)) => Cow::Owned([&path, "?", query].concat()),
    };
    Ok((target, host))
}

fn route<'c>(
    routes: &'c RouteTable,
    request: &NormalHttp<'_>,
    peer: &Peer<'_>,
    observer: &mut impl Observer,
) -> Option<(&'c CompiledHttpRule, usize)> {
    let found = routes.find(request, peer);
    tell(routes, found, request, peer, observer);
    found.map(|found| (found.rule, found.prefix))
}

/// Tells what stood before the winner and what each lacked, by the same checks that found it.
fn tell<O: Observer>(
    routes: &RouteTable,
    found: Option<Match<'_>>,
    request: &NormalHttp<'_>,
    peer: &Peer<'_>,
    observer: &mut O,
) {
    if !O::ENABLED {
        return;
    }
    for entry in routes.considered(found, request, peer) {
        observer.step(|| Step {
            phase: "route".to_owned(),
            rule: entry.rule.id.to_string(),
            matched: entry.unmet.is_ok(),
            detail: entry.detail(),
        });
    }
    if found.is_none() {
        observer.step(|| Step {
            phase: "route".to_owned(),
            rule: String::new(),
            matched: false,
            detail: "no rule matches".to_owned(),
        });
    }
}
