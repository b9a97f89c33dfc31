//! An endpoint's response as the client gets it.

use http::{HeaderValue, Response, StatusCode, Version, header};

use super::{
    attempt::Answered, forward::Limits, grpc, headers, incoming::ServerBody,
    observation::Observation, request_body::Activity, respond::Refusal,
    response_body::ResponseBody, upgrade::Switched,
};

/// A response's head and what its body still needs.
pub(super) struct Forwarded {
    pub response: Response<ServerBody>,
    pub answered: Answered,
    pub limits: Limits,
    pub activity: Activity,
    /// The protocol that the client wants to switch to.
    pub upgrade: Option<HeaderValue>,
}

/// What the client spoke.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub version: Version,
    pub is_grpc: bool,
}

impl Forwarded {
    /// Hands the response on.
    pub(super) fn deliver(
        self,
        client: Client,
        mut observation: Box<Observation>,
    ) -> Response<ResponseBody> {
        let switches = self.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switches {
            return self.switch(client, observation);
        }
        let Self {
            mut response,
            answered,
            limits,
            activity,
            ..
        } = self;
        observation.status = Some(response.status().as_u16());
        observation.grpc_status = grpc::status_of(response.headers());
        // Where no proxy stands, no refusal of the mesh can come from.
        let is_plain = answered.outstanding.endpoint().key.identity.is_none();
        headers::strip_response(response.headers_mut(), is_plain);
        *response.version_mut() = client.version;
        let is_grpc = client.is_grpc;
        response.map(|body| {
            ResponseBody::streamed(body, answered, observation, limits, activity, is_grpc)
        })
    }

    /// Both sides leave HTTP. A switch that nobody asked for is no HTTP.
    fn switch(self, client: Client, mut observation: Box<Observation>) -> Response<ResponseBody> {
        let (parts, body) = self.response.into_parts();
        let connection = match body {
            ServerBody::Http1(body) => body.into_switched(),
            ServerBody::Http2(_) => None,
        };
        let (Some(protocol), Some((prefix, server, permit))) = (self.upgrade, connection) else {
            return Refusal::Switched.into_response(client.is_grpc, observation);
        };
        let mut response = Response::from_parts(parts, ());
        observation.status = Some(response.status().as_u16());
        let chosen = response.headers().get(header::UPGRADE).cloned();
        headers::strip_response(response.headers_mut(), true);
        headers::prepare_upgrade(response.headers_mut(), chosen.unwrap_or(protocol));
        response.map(|()| {
            ResponseBody::switched(Switched {
                prefix,
                server,
                permit,
                answered: self.answered,
                observation,
                idle: self.limits.idle,
            })
        })
    }
}
