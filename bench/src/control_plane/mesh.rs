use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{stage::Stage, stored};
use crate::{
    BenchError,
    manifests::{name, namespace},
};

/// Pods of each service.
pub(super) const ENDPOINTS: usize = 5;

/// One service in so many has a route of its own.
pub(super) const ROUTE_EVERY: usize = 10;

/// Requests at the same time.
const CONCURRENCY: usize = 64;

/// Services that are written together.
const BATCH: usize = 50;

/// The mesh: a hundred services to a namespace, each with its EndpointSlice and pods; one in ten
/// with a VirtualRoute; a MeshPolicy and an AuthPolicy in every namespace. Weft's own objects are
/// made by the API, which validates them.
pub(super) struct Mesh<'s> {
    stage: &'s Stage,
    services: usize,
    /// Those whose first endpoint is unready.
    unready: HashSet<usize>,
}

impl<'s> Mesh<'s> {
    /// Without services; what speaks for the whole mesh is there.
    pub(super) async fn new(stage: &'s Stage) -> Result<Self, BenchError> {
        let policy = own(
            "MeshPolicy",
            "mesh",
            &json!({
                "targetRefs": [{"kind": "Mesh"}],
                "mtls": {"mode": "Strict"},
                "timeouts": {"idle": "4m"},
            }),
        );
        stage
            .requests
            .create(&weft("weft-system", "meshpolicies"), &policy)
            .await?;
        Ok(Self {
            stage,
            services: 0,
            unready: HashSet::new(),
        })
    }

    /// Services that exist.
    pub(super) fn services(&self) -> usize {
        self.services
    }

    /// Whether the first endpoint of a service is to be ready next: it was not.
    pub(super) fn flip(&mut self, index: usize) -> bool {
        let was_unready = self.unready.remove(&index);
        if !was_unready {
            self.unready.insert(index);
        }
        was_unready
    }

    /// Routes that exist.
    pub(super) fn routes(&self) -> usize {
        self.services.div_ceil(ROUTE_EVERY)
    }

    /// Makes the services that are missing.
    pub(super) async fn grow(&mut self, to: usize) -> Result<(), BenchError> {
        let from = self.services;
        let mut namespaces: Vec<String> = (from..to).map(namespace).collect();
        namespaces.dedup();
        if from > 0 {
            let last = namespace(from - 1);
            namespaces.retain(|namespace| *namespace != last);
        }
        stream::iter(namespaces)
            .map(|namespace| self.namespace(namespace))
            .buffer_unordered(8)
            .try_collect::<()>()
            .await?;
        let batches: Vec<_> = (from..to).step_by(BATCH).collect();
        stream::iter(batches)
            .map(async |first| {
                let some = first..to.min(first + BATCH);
                let objects: Vec<_> = some.flat_map(stored::service).collect();
                self.stage.store.put(&objects).await
            })
            .buffer_unordered(4)
            .try_collect::<()>()
            .await?;
        let routed = (from..to).filter(|index| index.is_multiple_of(ROUTE_EVERY));
        stream::iter(routed)
            .map(|index| self.route(index))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        self.services = to;
        Ok(())
    }

    async fn namespace(&self, namespace: String) -> Result<(), BenchError> {
        self.stage.namespace(&namespace).await?;
        let target = json!([{"kind": "Namespace", "name": namespace}]);
        let strict = own(
            "MeshPolicy",
            "strict",
            &json!({
                "targetRefs": target,
                "mtls": {"mode": "Strict"},
                "outlierDetection": {"consecutive5xx": 5},
            }),
        );
        let team = own(
            "AuthPolicy",
            "own-team",
            &json!({
                "targetRefs": target,
                "action": "Allow",
                "rules": [{"name": "team", "from": [{"namespaces": [namespace]}]}],
            }),
        );
        let requests = &self.stage.requests;
        requests
            .create(&weft(&namespace, "meshpolicies"), &strict)
            .await?;
        requests
            .create(&weft(&namespace, "authpolicies"), &team)
            .await
    }

    async fn route(&self, index: usize) -> Result<(), BenchError> {
        let route = own("VirtualRoute", &name(index), &route(index, "0"));
        let routes = weft(&namespace(index), "virtualroutes");
        self.stage.requests.create(&routes, &route).await
    }
}

/// The spec of a service's route: of `edition` is what it answers itself to whoever asks for it.
pub(super) fn route(index: usize, edition: &str) -> Value {
    let name = name(index);
    json!({
        "parentRefs": [{"kind": "Service", "name": name, "port": 80}],
        "http": [
            {"name": "edition",
                "matches": [{"path": {"type": "Exact", "value": "/edition"}}],
                "directResponse": {"statusCode": 200, "body": edition}},
            {"name": "canary",
                "matches": [{"headers": [{"name": "x-group", "type": "Exact", "value": "beta"}]}],
                "backendRefs": [{"name": name, "port": 80, "labels": {"version": "v2"}}]},
            {"name": "split",
                "retry": {"attempts": 1, "retryOn": ["connect-failure"]},
                "backendRefs": [
                    {"name": name, "port": 80, "weight": 90, "labels": {"version": "v1"}},
                    {"name": name, "port": 80, "weight": 10, "labels": {"version": "v2"}},
                ]},
        ],
    })
}

/// The collection of one of Weft's kinds.
pub(super) fn weft(namespace: &str, plural: &str) -> String {
    format!("/apis/weft.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

/// The collection of a namespace's EndpointSlices.
pub(super) fn slices(namespace: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
}

fn own(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": spec})
}
