use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    api::PartialObjectMeta,
    core::{DynamicObject, TypeMeta},
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use weft_crds::{Kind, Object, ObjectRef};

use super::{
    Change,
    reader::Reader,
    resources::{name_of, names, resource_of},
    trim::Trim,
};
use crate::{
    backoff,
    metrics::{Metrics, ObjectKind},
    publish::{ConfigMaps, MANAGED_BY, MANAGED_BY_WEFT},
};

/// How often it is asked whether an optional kind is served by now.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The kinds that are watched: six of Kubernetes' own (Gateway among them), three of ours, and
/// the ConfigMaps that we wrote.
const WATCHES: usize = 10;

/// An API server, as a source of objects.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    config_namespace: String,
    changes: mpsc::Sender<Change>,
    metrics: Metrics,
    /// Watches whose first list is not complete yet.
    listing: Arc<AtomicUsize>,
}

/// Watches everything until `stop` is cancelled or nobody listens. [`Change::Complete`] is told
/// once every kind's first list is through.
pub async fn watch(
    client: Client,
    config_namespace: String,
    changes: mpsc::Sender<Change>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let cluster = Cluster {
        client,
        config_namespace,
        changes,
        metrics,
        listing: Arc::new(AtomicUsize::new(WATCHES)),
    };
    let mut watches = JoinSet::new();
    watches.spawn(cluster.clone().typed::<Namespace>(Kind::Namespace));
    watches.spawn(cluster.clone().typed::<Service>(Kind::Service));
    watches.spawn(cluster.clone().typed::<EndpointSlice>(Kind::EndpointSlice));
    watches.spawn(cluster.clone().typed::<Pod>(Kind::Pod));
    watches.spawn(
        cluster
            .clone()
            .typed::<ServiceAccount>(Kind::ServiceAccount),
    );
    for kind in [Kind::VirtualRoute, Kind::MeshPolicy, Kind::AuthPolicy] {
        watches.spawn(cluster.clone().own(kind));
    }
    watches.spawn(cluster.clone().gateways());
    watches.spawn(cluster.documents());
    tokio::select! {
        () = stop.cancelled() => {}
        _ = watches.join_next() => {}
    }
}

impl Cluster {
    /// A kind that every API server has.
    async fn typed<K>(self, kind: Kind)
    where
        K: Resource<DynamicType = ()>
            + Trim
            + Into<Object>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api: Api<K> = Api::all(self.client.clone());
        self.follow(
            name_of(kind),
            api,
            watcher::Config::default(),
            |seen| match seen {
                Seen::There(mut object) => {
                    object.trim();
                    Some(Change::Applied {
                        object: Box::new(object.into()),
                        status: None,
                    })
                }
                Seen::Gone(name) => Some(Change::Removed(name.of(kind))),
            },
        )
        .await;
    }

    /// A kind whose objects are read one by one: one that cannot be read hides no other.
    async fn own(self, kind: Kind) {
        let resource = resource_of(kind);
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let types = TypeMeta {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
        };
        let mut reader = Reader::new(kind, types);
        self.follow(
            name_of(kind),
            api,
            watcher::Config::default(),
            move |seen| match seen {
                Seen::There(object) => reader.see(object),
                Seen::Gone(name) => {
                    reader.forget(&name.namespace, &name.name);
                    Some(Change::Removed(name.of(kind)))
                }
            },
        )
        .await;
    }

    /// Gateways, where the Gateway API is installed.
    async fn gateways(self) {
        let resource = resource_of(Kind::Gateway);
        let mut failures = 0;
        let mut waited = false;
        loop {
            let pause = match self
                .client
                .list_api_group_resources(&resource.api_version)
                .await
            {
                Ok(list) if list.resources.iter().any(|r| r.kind == resource.kind) => break,
                Err(kube::Error::Api(status)) if status.code != 404 => {
                    failures += 1;
                    backoff::after(failures)
                }
                Err(error) if !matches!(error, kube::Error::Api(_)) => {
                    failures += 1;
                    tracing::warn!(%error, "cannot ask whether the Gateway API is served");
                    backoff::after(failures)
                }
                _ => {
                    if !waited {
                        waited = true;
                        tracing::info!(
                            "the Gateway API is not installed; Gateways are not watched"
                        );
                        if self.listed().await.is_err() {
                            return;
                        }
                    }
                    ASK_AGAIN
                }
            };
            tokio::select! {
                () = self.changes.closed() => return,
                () = sleep(pause) => {}
            }
        }
        if waited {
            // Its turn was counted already; the watch counts down once more. Being told twice
            // that the world is complete changes nothing.
            self.listing.fetch_add(1, Ordering::SeqCst);
        }
        self.own(Kind::Gateway).await;
    }

    /// Our own output: what is stored, and whether somebody changes it.
    async fn documents(self) {
        let api: Api<PartialObjectMeta<ConfigMap>> =
            Api::namespaced(self.client.clone(), &self.config_namespace);
        let config = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGED_BY_WEFT}"));
        self.follow("ConfigMap", api, config, |seen| match seen {
            Seen::There(object) => ConfigMaps::observed(&object.metadata).map(Change::Stored),
            Seen::Gone(name) => ConfigMaps::missed(&name.name, name.version).map(Change::Stored),
        })
        .await;
    }

    /// Follows one kind for ever: what a new list does not name is gone.
    async fn follow<K>(
        &self,
        kind: &'static str,
        api: Api<K>,
        config: watcher::Config,
        mut tell: impl FnMut(Seen<K>) -> Option<Change>,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let label = ObjectKind { kind };
        let mut events = std::pin::pin!(watcher(api, config).backoff(Pauses::default()));
        let mut known: HashSet<(String, String)> = HashSet::new();
        let mut listed: Option<HashSet<(String, String)>> = None;
        let mut lists = 0_u32;
        while let Some(event) = events.next().await {
            let change = match event {
                Ok(Event::Init) => {
                    lists += 1;
                    if lists > 1 {
                        self.metrics.watch_restarts.get_or_create(&label).inc();
                    }
                    listed = Some(HashSet::new());
                    None
                }
                Ok(Event::InitApply(object)) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(names(object.meta()));
                    }
                    tell(Seen::There(object))
                }
                Ok(Event::InitDone) => {
                    let now = listed.take().unwrap_or_default();
                    for (namespace, name) in known.difference(&now) {
                        let gone = Name {
                            namespace: namespace.clone(),
                            name: name.clone(),
                            version: 0,
                        };
                        if let Some(change) = tell(Seen::Gone(gone))
                            && self.changes.send(change).await.is_err()
                        {
                            return;
                        }
                    }
                    known = now;
                    if lists == 1 && self.listed().await.is_err() {
                        return;
                    }
                    None
                }
                Ok(Event::Apply(object)) => {
                    known.insert(names(object.meta()));
                    tell(Seen::There(object))
                }
                Ok(Event::Delete(object)) => {
                    let (namespace, name) = names(object.meta());
                    let version = object
                        .meta()
                        .resource_version
                        .as_deref()
                        .and_then(|version| version.parse().ok())
                        .unwrap_or_default();
                    let gone = Name {
                        namespace: namespace.clone(),
                        name: name.clone(),
                        version,
                    };
                    known.remove(&(namespace, name));
                    tell(Seen::Gone(gone))
                }
                Err(error) => {
                    self.metrics.watch_errors.get_or_create(&label).inc();
                    tracing::warn!(kind, %error, hint = hint(&error), "the watch failed; it is begun again");
                    None
                }
            };
            if let Some(change) = change
                && self.changes.send(change).await.is_err()
            {
                return;
            }
        }
    }

    /// A first list is through; the last one completes the world.
    async fn listed(&self) -> Result<(), mpsc::error::SendError<Change>> {
        if self.listing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.changes.send(Change::Complete).await?;
        }
        Ok(())
    }
}

/// What a watch saw.
enum Seen<K> {
    There(K),
    Gone(Name),
}

/// An object that is gone.
struct Name {
    namespace: String,
    name: String,
    /// The version in which it went; 0 where it was only missed in a list.
    version: u64,
}

impl Name {
    fn of(self, kind: Kind) -> ObjectRef {
        ObjectRef::new(kind, self.namespace, self.name)
    }
}

fn hint(error: &watcher::Error) -> &'static str {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status)) => match status.code {
            404 => "is the kind installed? kubectl apply --server-side -k config/crd",
            403 => "check the ClusterRole weft-operator and its binding",
            _ => "check the API server",
        },
        InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) => {
            "is the API server reachable?"
        }
        _ => "nothing to do: this happens when a watch is too old",
    }
}

/// An API server that is back is noticed within this: ten watches that ask so often cost it
/// nothing, and every second counts that changes wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The pauses between attempts of a watch.
#[derive(Debug, Default)]
struct Pauses(u32);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0 = self.0.saturating_add(1);
        Some(backoff::after(self.0).min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = 0;
    }
}
