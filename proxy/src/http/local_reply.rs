//! What a rule answers itself: a redirect or a fixed response.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use weft_engine::{
    compile::{CompiledAction, CompiledHttpRule},
    decide::{HttpDecision, Scope},
};

use super::respond::Refusal;

/// The rule's own answer; `None` where it forwards.
pub(super) fn local_reply(
    rule: &CompiledHttpRule,
    decision: &HttpDecision<'_, '_>,
    scope: Scope<'_>,
    authority: &str,
) -> Result<Option<Response<Bytes>>, Refusal> {
    let mut response = match &rule.action {
        CompiledAction::Forward => return Ok(None),
        CompiledAction::Redirect(redirect) => {
            let (scheme, port) = match scope {
                Scope::Outbound(port) => ("http", port.port),
                Scope::Gateway(listener) if listener.tls => ("https", listener.port),
                Scope::Gateway(listener) => ("http", listener.port),
                Scope::Inbound(_, port) => ("http", port),
            };
            let location = decision.location(scheme, authority, port);
            let location = location
                .and_then(|location| HeaderValue::try_from(location).ok())
                .ok_or(Refusal::NoBackend("invalid_redirect"))?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = redirect.status;
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        CompiledAction::DirectResponse(direct) => {
            let mut response = Response::new(direct.body.clone());
            *response.status_mut() = direct.status;
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, direct.content_type.clone());
            response
        }
    };
    rule.response_headers.apply(response.headers_mut());
    Ok(Some(response))
}
