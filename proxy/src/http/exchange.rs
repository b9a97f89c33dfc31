//! One request, from its head to its last byte.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{
    Response, Version,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use weft_engine::{
    compile::CompiledHttpRule,
    decide::{self, HttpFacts, Peer, Verdict},
    documents::{Labels, Protocol},
};

use super::{
    context::Context,
    deliver::{Client, Forwarded},
    forward::{Job, Limits},
    grpc,
    head::Head,
    headers,
    incoming::ClientBody,
    local_reply::local_reply,
    observation::Observation,
    place::Place,
    request_body::Upload,
    respond::Refusal,
    response_body::ResponseBody,
    validate,
};
use crate::{connection::Target, h1::ResponseFields, upstream::Cluster};

/// Serves one request.
pub(super) async fn exchange(
    context: Rc<Context>,
    parts: Parts,
    body: ClientBody,
) -> Response<ResponseBody> {
    let is_grpc = parts.version == Version::HTTP_2 && grpc::is_grpc(&parts.headers);
    let client = Client {
        version: parts.version,
        is_grpc,
    };
    let mut observation = Box::new(Observation::begin(&context, &parts, is_grpc));
    let request = Arrived {
        context: &context,
        is_grpc,
        body,
    };
    match request.serve(&mut observation, parts).await {
        Err(refusal) => {
            tracing::debug!(?refusal, "refused");
            refusal.into_response(is_grpc, observation)
        }
        Ok(Reply::Local(response)) => {
            observation.status = Some(response.status().as_u16());
            response.map(|body| ResponseBody::local(body, observation))
        }
        Ok(Reply::Forwarded(forwarded)) => forwarded.deliver(client, observation),
    }
}

enum Reply {
    /// Given by a rule.
    Local(Response<Bytes>),
    /// Given by an endpoint.
    Forwarded(Box<Forwarded>),
}

struct Arrived<'c> {
    context: &'c Rc<Context>,
    is_grpc: bool,
    body: ClientBody,
}

/// What is sent where.
struct Outgoing<'a> {
    rule: Option<&'a CompiledHttpRule>,
    cluster: Rc<Cluster>,
    labels: Option<&'a Labels>,
    declared: Option<Protocol>,
    /// What the client spoke.
    version: Version,
    head: Head,
}

impl Arrived<'_> {
    async fn serve(
        self,
        observation: &mut Observation,
        mut parts: Parts,
    ) -> Result<Reply, Refusal> {
        let connection = &self.context.connection;
        let worker = &self.context.worker;
        if let Some(by) = &connection.refuse {
            return Err(Refusal::Connection(by.clone()));
        }
        let named = validate::authority(&parts).map_err(Refusal::Invalid)?;
        let named = self.context.named(named);
        observation.authority(&named);
        let authority = &*named.text;
        // The engine looks at it again; but first the service has to be found by it.
        if let Some(rejection) = named.rejection {
            return Err(Refusal::Malformed(rejection.into()));
        }
        let hop = headers::strip_request(&mut parts);

        let place = Place::find(worker, &connection.target, &named, observation).await?;
        let scope = place.scope(authority)?;
        let peer = Peer {
            address: connection.peer.ip(),
            identity: connection.peer_identity().map(Arc::as_ref),
            workload: place.caller(worker),
        };
        let target = parts.uri.path_and_query().cloned();
        let sent = target.as_ref().map_or("/", PathAndQuery::as_str);
        let facts = HttpFacts {
            method: parts.method.as_str(),
            authority,
            path_and_query: sent,
            headers: &parts.headers,
        };
        let decision = decide::decide_http(scope, &facts, &peer, &mut ());
        observation.reasons(&decision.reasons);
        let rule = match &decision.verdict {
            Verdict::Proceed(rule) => *rule,
            Verdict::NoRoute => return Err(Refusal::NoRoute),
            Verdict::Malformed(rejection) => return Err(Refusal::Malformed(*rejection)),
            Verdict::Denied(denial) => {
                observation.authorized(denial.policy(), denial.rule(), "deny", false);
                return Err(Refusal::denied(denial));
            }
        };
        observation.route = rule.map(|rule| rule.id.clone());
        if let Some(rule) = rule
            && let Some(reply) = local_reply(rule, &decision, scope, authority)?
        {
            return Ok(Reply::Local(reply));
        }
        let path = match decision.forwarded_path() {
            path if path == sent => target.clone(),
            path => PathAndQuery::try_from(path.as_ref()).ok(),
        };
        drop(decision);

        let (cluster, labels) = place
            .cluster(self.context, rule, observation.started())
            .await?;
        if let Some(rule) = rule {
            rule.request_headers.apply(&mut parts.headers);
        }
        if !matches!(connection.target, Target::App { .. }) {
            observation.destination(&cluster.namespace, &cluster.service, cluster.port);
        }
        headers::announce(&mut parts.headers, connection, self.context.caller());
        let authority = rule
            .and_then(|rule| rule.rewrite_authority.clone())
            .or_else(|| named.parsed.clone())
            .or_else(|| default_authority(&cluster))
            .ok_or(Refusal::Invalid(validate::Rejection::NoHost))?;
        let outgoing = Outgoing {
            rule,
            cluster,
            labels,
            declared: place.declared(),
            version: parts.version,
            head: Head {
                method: parts.method,
                authority,
                path_and_query: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
                headers: parts.headers,
                trailers: hop.trailers,
                upgrade: hop.upgrade,
            },
        };
        self.forward(observation, outgoing).await
    }

    /// Sends it until there is a response.
    async fn forward(
        self,
        observation: &mut Observation,
        outgoing: Outgoing<'_>,
    ) -> Result<Reply, Refusal> {
        let Outgoing {
            rule,
            cluster,
            labels,
            declared,
            version,
            head,
        } = outgoing;
        let upgrade = head.upgrade.clone();
        let limits = Limits::new(rule, &cluster, upgrade.is_some(), observation.started());
        let activity = self.context.activity(observation.started());
        let upload = Upload::new(
            self.body,
            observation.request_bytes.clone(),
            activity.clone(),
        );
        let job = Job {
            context: self.context,
            cluster,
            labels,
            rule,
            head,
            upload,
            limits,
            activity: activity.clone(),
            is_grpc: self.is_grpc,
            version,
            declared,
        };
        let (mut response, answered) = job.run(observation).await?;
        if version == Version::HTTP_2
            && let Some(came) = response.body_mut().take_came()
        {
            came.into_map(response.headers_mut());
        }
        if let Some(rule) = rule
            && !rule.response_headers.is_empty()
        {
            let mut map = std::mem::take(response.headers_mut());
            rule.response_headers.apply(&mut ResponseFields {
                came: response.body_mut().came(),
                map: &mut map,
            });
            *response.headers_mut() = map;
        }
        Ok(Reply::Forwarded(Box::new(Forwarded {
            response,
            answered,
            limits,
            activity,
            upgrade,
        })))
    }
}

/// For a request without a host (HTTP/1.0).
fn default_authority(cluster: &Cluster) -> Option<Authority> {
    let name = if cluster.namespace.is_empty() {
        format!("localhost:{}", cluster.port)
    } else if cluster.service.is_empty() {
        // A pod that no Service stands for.
        return None;
    } else {
        format!("{}.{}:{}", cluster.service, cluster.namespace, cluster.port)
    };
    Authority::try_from(name).ok()
}
