//! An endpoint's response as the client gets it.

use http::{HeaderValue, Response, StatusCode, Version, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};

use super::{
    attempt::Answered, context::Context, forward::Limits, grpc, headers, observation::Observation,
    request_body::Activity, response_body::ResponseBody, upgrade::Tunnel,
};

/// A response's head and what its body still needs.
pub(super) struct Forwarded {
    pub response: Response<Incoming>,
    pub answered: Answered,
    pub limits: Limits,
    pub activity: Activity,
    /// The protocol that the client wants to switch to.
    pub upgrade: Option<HeaderValue>,
}

/// What the client spoke.
pub(super) struct Client {
    pub version: Version,
    pub is_grpc: bool,
    pub on_upgrade: Option<OnUpgrade>,
}

impl Forwarded {
    /// Hands the response on; a switch of protocols goes on in a task of its own.
    pub(super) fn deliver(
        self,
        context: &Context,
        client: Client,
        mut observation: Box<Observation>,
    ) -> Response<ResponseBody> {
        let Self {
            mut response,
            answered,
            limits,
            activity,
            upgrade,
        } = self;
        observation.status = Some(response.status().as_u16());
        observation.grpc_status = grpc::status_of(response.headers());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let (Some(protocol), Some(on_upgrade)) = (upgrade, client.on_upgrade)
        {
            let chosen = response.headers().get(header::UPGRADE).cloned();
            let server = hyper::upgrade::on(&mut response);
            headers::strip_response(response.headers_mut());
            headers::prepare_upgrade(response.headers_mut(), chosen.unwrap_or(protocol));
            context.progress.release();
            tokio::task::spawn_local(
                Tunnel {
                    client: on_upgrade,
                    server,
                    answered,
                    observation,
                    idle: limits.idle,
                    drain: context.worker.drain.clone(),
                }
                .run(),
            );
            return response.map(|_| ResponseBody::none());
        }
        headers::strip_response(response.headers_mut());
        if answered.outstanding.endpoint().key.identity.is_none() {
            // No proxy stands there, so no refusal of the mesh can come from there.
            headers::strip_reserved(response.headers_mut());
        }
        *response.version_mut() = client.version;
        let is_grpc = client.is_grpc;
        response.map(|body| {
            ResponseBody::streamed(body, answered, observation, limits, activity, is_grpc)
        })
    }
}
