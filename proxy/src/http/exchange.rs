//! One request, from its head to its last byte.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use weft_engine::{
    compile::{CompiledAction, CompiledHttpRule},
    decide::{self, HttpFacts, Peer, Scope, Verdict},
    documents::Protocol,
};

use super::{
    attempt::Answered,
    context::Context,
    forward::{Job, Limits},
    grpc,
    head::Head,
    headers,
    observation::Observation,
    request_body::{Activity, Upload},
    respond::Refusal,
    response_body::ResponseBody,
    target::service_of,
    upgrade::Tunnel,
    validate,
};
use crate::{
    config::{GatewayView, ServiceView},
    connection::Target,
    upstream::{Cluster, Upstreams},
};

/// Serves one request.
pub(super) async fn exchange(
    context: Rc<Context>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut parts, body) = request.into_parts();
    let is_grpc = parts.version == Version::HTTP_2 && grpc::is_grpc(&parts.headers);
    let version = parts.version;
    let mut observation = Box::new(Observation::begin(&context, &parts, is_grpc));
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
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
        Ok(Reply::Forwarded(forwarded)) => hand_on(
            &context,
            *forwarded,
            version,
            is_grpc,
            on_upgrade,
            observation,
        ),
    }
}

enum Reply {
    /// Given by a rule.
    Local(Response<Bytes>),
    /// Given by an endpoint.
    Forwarded(Box<Forwarded>),
}

struct Forwarded {
    response: Response<Incoming>,
    answered: Answered,
    limits: Limits,
    activity: Activity,
    upgrade: Option<HeaderValue>,
}

/// The response as the client gets it.
fn hand_on(
    context: &Rc<Context>,
    forwarded: Forwarded,
    version: Version,
    is_grpc: bool,
    on_upgrade: Option<OnUpgrade>,
    mut observation: Box<Observation>,
) -> Response<ResponseBody> {
    let Forwarded {
        mut response,
        answered,
        limits,
        activity,
        upgrade,
    } = forwarded;
    observation.status = Some(response.status().as_u16());
    observation.grpc_status = grpc::status_of(response.headers());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let (Some(protocol), Some(client)) = (upgrade, on_upgrade)
    {
        let chosen = response.headers().get(header::UPGRADE).cloned();
        let server = hyper::upgrade::on(&mut response);
        headers::strip_response(response.headers_mut());
        headers::prepare_upgrade(response.headers_mut(), chosen.unwrap_or(protocol));
        context.progress.release();
        tokio::task::spawn_local(
            Tunnel {
                client,
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
    *response.version_mut() = version;
    response
        .map(|body| ResponseBody::streamed(body, answered, observation, limits, activity, is_grpc))
}

/// What the request's target turned out to be; keeps the configuration of this moment alive.
enum Place {
    Service(Arc<ServiceView>, u16),
    Gateway(Arc<GatewayView>, Arc<str>),
    App,
}

struct Arrived<'c> {
    context: &'c Rc<Context>,
    is_grpc: bool,
    body: Incoming,
}

impl Arrived<'_> {
    async fn serve(
        self,
        observation: &mut Observation,
        mut parts: Parts,
    ) -> Result<Reply, Refusal> {
        let connection = &self.context.connection;
        let worker = &self.context.worker;
        if let Some(flag) = connection.refuse {
            return Err(Refusal::Connection(flag));
        }
        let authority = validate::authority(&parts).map_err(Refusal::Invalid)?;
        observation.authority(&authority);
        // The engine looks at it again; but first the service has to be found by it.
        weft_engine::authority::host(&authority)
            .map_err(|rejection| Refusal::Malformed(rejection.into()))?;
        let hop = headers::strip_request(&mut parts);

        let mut peer = Peer {
            address: connection.peer.ip(),
            identity: connection.peer_identity().map(Arc::as_ref),
            workload: None,
        };
        let place = self.place(&authority, observation).await?;
        let inbound;
        let scope = match (&place, &connection.target) {
            (Place::Service(view, port), _) => {
                peer.workload = Some(&worker.workload);
                let port = view.compiled.port(*port);
                Scope::Outbound(port.ok_or_else(|| Refusal::UnknownHost(authority.clone()))?)
            }
            (Place::Gateway(view, name), _) => {
                let listener = view.listener(name);
                Scope::Gateway(listener.ok_or(Refusal::NotConfigured("no_listener"))?)
            }
            (Place::App, Target::App { port, .. }) => {
                inbound = worker
                    .config
                    .inbound()
                    .ok_or(Refusal::NotConfigured("no_inbound_config"))?;
                Scope::Inbound(&inbound, *port)
            }
            // Redirected to what is no service: the listener hands such bytes on unread.
            (Place::App, _) => return Err(Refusal::NotConfigured("no_service_config")),
        };

        let target = parts.uri.path_and_query().cloned();
        let sent = target.as_ref().map_or("/", PathAndQuery::as_str);
        let facts = HttpFacts {
            method: parts.method.as_str(),
            authority: &authority,
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
        if let Some(reply) = self.answer_here(rule, &decision, scope, &authority)? {
            return Ok(Reply::Local(reply));
        }
        let path = match decision.forwarded_path() {
            path if path == sent => target.clone(),
            path => PathAndQuery::try_from(path.as_ref()).ok(),
        };
        drop(decision);

        let no_labels = BTreeMap::new();
        let declared = match scope {
            Scope::Inbound(inbound, port) => Some(inbound.protocol(port)),
            _ => None,
        };
        let (cluster, labels) = self.cluster(rule, &place, &no_labels).await?;
        if let Some(rule) = rule {
            rule.request_headers.apply(&mut parts.headers);
        }
        let authority = rule
            .and_then(|rule| rule.rewrite_authority.clone())
            .or_else(|| Authority::try_from(authority.as_str()).ok())
            .or_else(|| default_authority(&cluster));
        self.forward(
            observation,
            parts,
            hop,
            rule,
            cluster,
            labels,
            declared,
            authority,
            path,
        )
        .await
    }

    /// Loads what the target names.
    async fn place(
        &self,
        authority: &str,
        observation: &mut Observation,
    ) -> Result<Place, Refusal> {
        let worker = &self.context.worker;
        let config = &worker.config;
        match &self.context.connection.target {
            Target::Service(service) => {
                let view = config.service(&service.namespace, &service.name).await;
                let view = view.ok_or(Refusal::NotConfigured("no_service_config"))?;
                observation.destination(&view.namespace, &view.name, service.port);
                Ok(Place::Service(view, service.port))
            }
            Target::Host => {
                let mesh = config.mesh();
                let domain = mesh
                    .as_ref()
                    .map(|mesh| mesh.cluster_domain.as_str())
                    .filter(|domain| !domain.is_empty())
                    .unwrap_or("cluster.local");
                let unknown = || Refusal::UnknownHost(authority.chars().take(256).collect());
                let named = service_of(authority, &worker.bootstrap.namespace, domain)
                    .ok_or_else(unknown)?;
                let view = config.service(&named.namespace, &named.name).await;
                let view = view.ok_or_else(unknown)?;
                observation.destination(&view.namespace, &view.name, named.port);
                Ok(Place::Service(view, named.port))
            }
            Target::Listener(name) => {
                let view = config
                    .gateway()
                    .ok_or(Refusal::NotConfigured("no_gateway_config"))?;
                Ok(Place::Gateway(view, name.clone()))
            }
            Target::App { port, .. } => {
                let bootstrap = &worker.bootstrap;
                observation.destination(
                    &bootstrap.namespace.as_str().into(),
                    &bootstrap.service_account.as_str().into(),
                    *port,
                );
                Ok(Place::App)
            }
            Target::Passthrough(_) => Ok(Place::App),
        }
    }

    /// What a rule answers without a backend.
    fn answer_here(
        &self,
        rule: Option<&CompiledHttpRule>,
        decision: &decide::HttpDecision<'_, '_>,
        scope: Scope<'_>,
        authority: &str,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let Some(rule) = rule else { return Ok(None) };
        let mut response = match &rule.action {
            CompiledAction::Forward => return Ok(None),
            CompiledAction::Redirect(redirect) => {
                let port = match scope {
                    Scope::Outbound(port) => port.port,
                    Scope::Gateway(listener) => listener.port,
                    Scope::Inbound(_, port) => port,
                };
                let location = decision.location("http", authority, port);
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

    /// The cluster that takes the request: drawn by weight where the rule says so.
    async fn cluster<'l>(
        &self,
        rule: Option<&'l CompiledHttpRule>,
        place: &Place,
        no_labels: &'l BTreeMap<String, String>,
    ) -> Result<(Rc<Cluster>, &'l BTreeMap<String, String>), Refusal> {
        let worker = &self.context.worker;
        let Some(rule) = rule else {
            return match (place, &self.context.connection.target) {
                (Place::Service(view, port), _) => {
                    Ok((Upstreams::service(worker, view, *port), no_labels))
                }
                (_, Target::App { address, .. }) => {
                    Ok((Upstreams::app(worker, *address), no_labels))
                }
                // A gateway's request without a rule is `NoRoute`, so this is not reached.
                _ => Err(Refusal::NoRoute),
            };
        };
        let backend = decide::pick_backend(rule.backends(), fastrand::u64(..))
            .ok_or(Refusal::NoBackend("no_backend"))?;
        if backend.invalid {
            return Err(Refusal::NoBackend("invalid_backend"));
        }
        let wanted = &backend.service;
        let cluster = match place {
            Place::Service(view, _)
                if *view.namespace == *wanted.namespace && *view.name == *wanted.name =>
            {
                Upstreams::service(worker, view, wanted.port)
            }
            _ => {
                let view = worker.config.service(&wanted.namespace, &wanted.name).await;
                let view = view.ok_or(Refusal::NoBackend("backend_not_found"))?;
                Upstreams::service(worker, &view, wanted.port)
            }
        };
        Ok((cluster, &backend.labels))
    }

    #[allow(clippy::too_many_arguments)]
    async fn forward(
        self,
        observation: &mut Observation,
        mut parts: Parts,
        hop: headers::HopByHop,
        rule: Option<&CompiledHttpRule>,
        cluster: Rc<Cluster>,
        labels: &BTreeMap<String, String>,
        declared: Option<Protocol>,
        authority: Option<Authority>,
        path_and_query: Option<PathAndQuery>,
    ) -> Result<Reply, Refusal> {
        if !matches!(self.context.connection.target, Target::App { .. }) {
            observation.destination(&cluster.namespace, &cluster.service, cluster.port);
        }
        headers::announce(&mut parts.headers, &self.context.connection);
        let head = Head {
            method: parts.method,
            authority: authority.ok_or(Refusal::Invalid(validate::Rejection::NoHost))?,
            path_and_query: path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")),
            headers: parts.headers,
            trailers: hop.trailers,
            upgrade: hop.upgrade.clone(),
        };
        let limits = Limits::new(rule, &cluster, hop.upgrade.is_some(), observation.started());
        let activity = Activity::new(Instant::now());
        let keep = rule.is_some_and(|rule| rule.retry.is_some());
        let upload = Upload::new(
            self.body,
            keep,
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
            version: parts.version,
            declared,
        };
        let (mut response, answered) = job.run(observation).await?;
        if let Some(rule) = rule {
            rule.response_headers.apply(response.headers_mut());
        }
        Ok(Reply::Forwarded(Box::new(Forwarded {
            response,
            answered,
            limits,
            activity,
            upgrade: hop.upgrade,
        })))
    }
}

/// For a request without a host (HTTP/1.0).
fn default_authority(cluster: &Cluster) -> Option<Authority> {
    let name = if cluster.namespace.is_empty() {
        format!("localhost:{}", cluster.port)
    } else {
        format!("{}.{}:{}", cluster.service, cluster.namespace, cluster.port)
    };
    Authority::try_from(name).ok()
}
