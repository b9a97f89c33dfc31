//! What a request's target turned out to be: whose rules decide, and which cluster takes it.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use weft_engine::{
    compile::{CompiledHttpRule, CompiledInbound},
    decide::{self, Scope},
    documents::{Labels, Protocol},
    identity::Workload,
};

use super::{
    context::{Context, Named},
    observation::Observation,
    respond::Refusal,
};
use crate::{
    config::{GatewayView, PodCall, ServiceView},
    connection::Target,
    upstream::{Cluster, Upstreams},
    worker::Worker,
};

/// A target with the configuration of this moment, which it keeps alive.
pub(super) enum Place {
    /// A service port, as its clients see it.
    Service(Arc<ServiceView>, u16),
    /// A pod that the client dialled itself.
    Pod(Box<PodCall>),
    /// A listener of this gateway.
    Gateway(Arc<GatewayView>, Arc<str>),
    /// The local application.
    App {
        inbound: Arc<CompiledInbound>,
        port: u16,
        address: SocketAddr,
    },
}

impl Place {
    /// Loads what the target names.
    pub(super) async fn find(
        worker: &Worker,
        target: &Target,
        named: &Named,
        observation: &mut Observation,
    ) -> Result<Self, Refusal> {
        let config = &worker.config;
        match target {
            Target::Service(service) => {
                let view = config.service(&service.namespace, &service.name).await;
                let view = view.ok_or(Refusal::NotConfigured("no_service_config"))?;
                observation.destination(&view.namespace, &view.name, service.port);
                Ok(Self::Service(view, service.port))
            }
            Target::Pod(pod) => {
                let call = Box::pin(PodCall::to(config, pod)).await;
                let (namespace, service, port) = call.names();
                observation.destination(&namespace.into(), &service.into(), port);
                Ok(Self::Pod(Box::new(call)))
            }
            Target::Host => {
                let mesh = config.mesh();
                let domain = mesh
                    .as_ref()
                    .map(|mesh| mesh.cluster_domain.as_str())
                    .filter(|domain| !domain.is_empty())
                    .unwrap_or("cluster.local");
                let unknown = || Refusal::UnknownHost(named.text.chars().take(256).collect());
                let service = named.service(&worker.bootstrap.namespace, domain);
                let service = service.ok_or_else(unknown)?;
                let view = config.service(&service.namespace, &service.name).await;
                let view = view.ok_or_else(unknown)?;
                observation.destination(&view.namespace, &view.name, service.port);
                Ok(Self::Service(view, service.port))
            }
            Target::Listener(name) => {
                let view = config
                    .gateway()
                    .ok_or(Refusal::NotConfigured("no_gateway_config"))?;
                Ok(Self::Gateway(view, name.clone()))
            }
            Target::App { port, address } => {
                let inbound = config
                    .inbound()
                    .ok_or(Refusal::NotConfigured("no_inbound_config"))?;
                if let Some(service) = inbound.service(*port) {
                    observation.destination(&worker.namespace, service, *port);
                }
                Ok(Self::App {
                    inbound,
                    port: *port,
                    address: *address,
                })
            }
            // Redirected to what is no service: the listener hands such bytes on unread.
            Target::Passthrough(_) => Err(Refusal::NotConfigured("no_service_config")),
        }
    }

    /// Whose rules decide.
    pub(super) fn scope(&self, authority: &str) -> Result<Scope<'_>, Refusal> {
        match self {
            Self::Service(view, port) => {
                let port = view.compiled.port(*port);
                let unknown = || Refusal::UnknownHost(authority.chars().take(256).collect());
                port.map(Scope::Outbound).ok_or_else(unknown)
            }
            Self::Pod(call) => Ok(Scope::Outbound(call.port())),
            Self::Gateway(view, name) => view
                .listener(name)
                .map(Scope::Gateway)
                .ok_or(Refusal::NotConfigured("no_listener")),
            Self::App { inbound, port, .. } => Ok(Scope::Inbound(inbound, *port)),
        }
    }

    /// The calling workload, where it is our own.
    pub(super) fn caller<'w>(&self, worker: &'w Worker) -> Option<&'w Workload> {
        matches!(self, Self::Service(..) | Self::Pod(_)).then_some(&worker.workload)
    }

    /// Inbound: what the pod's own port is declared to speak.
    pub(super) fn declared(&self) -> Option<Protocol> {
        match self {
            Self::App { inbound, port, .. } => Some(inbound.protocol(*port)),
            _ => None,
        }
    }

    /// The cluster that takes the request, and the labels of the endpoints that may, `None`: all: drawn by
    /// weight where the rule says so.
    pub(super) async fn cluster<'l>(
        &self,
        context: &Context,
        rule: Option<&'l CompiledHttpRule>,
        now: Instant,
    ) -> Result<(Rc<Cluster>, Option<&'l Labels>), Refusal> {
        let worker = &context.worker;
        let Some(rule) = rule else {
            let cluster = match self {
                Self::Service(view, port) => service_cluster(context, view, *port, now),
                Self::Pod(call) => Upstreams::pod(worker, call),
                Self::App { address, .. } => Upstreams::app(worker, *address),
                // A gateway's request without a rule is `NoRoute`, so this is not reached.
                Self::Gateway(..) => return Err(Refusal::NoRoute),
            };
            return Ok((cluster, None));
        };
        let backend = decide::pick_backend(rule.backends(), fastrand::u64(..))
            .ok_or(Refusal::NoBackend("no_backend"))?;
        if backend.invalid {
            return Err(Refusal::NoBackend("invalid_backend"));
        }
        let wanted = &backend.service;
        let cluster = match self {
            Self::Service(view, _)
                if *view.namespace == *wanted.namespace && *view.name == *wanted.name =>
            {
                service_cluster(context, view, wanted.port, now)
            }
            Self::Pod(call) if call.is_meant(backend) => Upstreams::pod(worker, call),
            _ => {
                let view = worker.config.service(&wanted.namespace, &wanted.name).await;
                let view = view.ok_or(Refusal::NoBackend("backend_not_found"))?;
                service_cluster(context, &view, wanted.port, now)
            }
        };
        Ok((cluster, Some(&backend.labels)))
    }
}

/// The cluster of a service's port: the connection's last one, where it is that.
fn service_cluster(context: &Context, view: &ServiceView, port: u16, now: Instant) -> Rc<Cluster> {
    let mut last = context.cluster.borrow_mut();
    if let Some(cluster) = &*last
        && cluster.is_of(view, port)
    {
        cluster.follow(view, now);
        return cluster.clone();
    }
    last.insert(Upstreams::service(&context.worker, view, port))
        .clone()
}
