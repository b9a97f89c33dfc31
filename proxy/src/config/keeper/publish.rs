//! From an accepted document to what workers read.

use std::sync::Arc;

use weft_engine::{
    compile::{CompiledGateway, CompiledInbound, CompiledService},
    documents::{Document, DocumentName, GatewayDocument, HttpAction, ServiceDocument},
    problem::Problem,
};

use super::{Keeper, ServiceKey};
use crate::config::{Feed, GatewayView};

impl<F: Feed> Keeper<F> {
    /// Compiles and publishes; gives the problems.
    pub(super) fn apply(&mut self, document: Document) -> Vec<Problem> {
        match document {
            Document::Mesh(mesh) => {
                let mesh = Arc::new(mesh);
                self.mesh = Some(mesh.clone());
                self.store.shared.publish_mesh(mesh);
                self.publish_inbound()
            }
            Document::Inbound(inbound) => {
                self.inbound = Some(inbound);
                self.publish_inbound()
            }
            Document::Service(mut service) => {
                self.share_labels(&mut service);
                let key = (service.namespace.clone(), service.name.clone());
                let (mut compiled, problems) =
                    CompiledService::compile(&service, &self.workload.namespace);
                for port in &mut compiled.ports {
                    port.policy = self.policies.one(&port.policy);
                }
                let assembly = &mut **self.services.entry(key.clone()).or_default();
                let shards_before = assembly.shard_count();
                let shards = assembly.set_service(&service, compiled);
                for shard in shards..shards_before {
                    let (ns, name) = key.clone();
                    self.unfollow(&DocumentName::Endpoints(ns, name, shard));
                }
                for shard in 0..shards {
                    let (ns, name) = key.clone();
                    self.follow(DocumentName::Endpoints(ns, name, shard));
                }
                self.publish_service(key);
                problems
            }
            Document::Endpoints(endpoints) => {
                let key = (endpoints.namespace.clone(), endpoints.name.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.set_shard(&endpoints, &mut self.labels);
                }
                self.publish_service(key);
                Vec::new()
            }
            Document::Gateway(gateway) => {
                let (compiled, problems) = CompiledGateway::compile(&gateway);
                self.generation += 1;
                let view = gateway_view(&gateway, compiled, self.generation);
                self.store.shared.publish_gateway(Some(view));
                problems
            }
            Document::Addresses(addresses) => {
                self.store.shared.publish_addresses(addresses);
                Vec::new()
            }
            Document::Index(index) => {
                self.store.shared.publish_index(index);
                Vec::new()
            }
        }
    }

    /// What its routes' subsets ask for is what those of others ask for.
    fn share_labels(&mut self, service: &mut ServiceDocument) {
        let scopes = service.ports.iter_mut().flat_map(|port| &mut port.http);
        for rule in scopes.flat_map(|scope| &mut scope.rules) {
            if let HttpAction::Forward(backends) = &mut rule.action {
                for backend in backends {
                    backend.labels = self.labels.one(&backend.labels);
                }
            }
        }
    }

    pub(super) fn publish_service(&mut self, key: ServiceKey) {
        self.generation += 1;
        let Some(assembly) = self.services.get(&key) else {
            return;
        };
        if let Some(view) = assembly.view(self.generation) {
            self.store.shared.publish_service(view);
        }
    }

    /// Policies of the namespace and of the mesh together; nothing is published before both
    /// have been heard of.
    pub(super) fn publish_inbound(&mut self) -> Vec<Problem> {
        let (Some(inbound), Some(mesh)) = (&self.inbound, &self.mesh) else {
            return Vec::new();
        };
        let (compiled, problems) = CompiledInbound::compile(inbound, mesh, &self.workload);
        self.store.shared.publish_inbound(compiled);
        problems
    }
}

fn gateway_view(
    document: &GatewayDocument,
    compiled: CompiledGateway,
    generation: u64,
) -> GatewayView {
    let listeners = document.listeners.iter().enumerate();
    GatewayView {
        namespace: document.namespace.as_str().into(),
        name: document.name.as_str().into(),
        listeners: listeners.map(|(i, l)| (l.name.clone(), i)).collect(),
        compiled,
        generation,
    }
}
