//! What is kept of an object: not the object, but the facts that documents are made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use weft_engine::{
    documents::{AuthorizationPolicy, HttpAction, Protocol},
    problem::Problem,
};

use crate::{
    object::{GatewayListener, Kind},
    reference::{AuthTarget, MeshTarget, ParentRef},
    translate::{ClientField, MtlsSetting, RouteRules},
};

/// `(namespace, name)`.
pub(crate) type Name = (String, String);

/// Labels, shared by all objects that have the same.
pub(crate) type Labels = Arc<BTreeMap<String, String>>;

/// A Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceFacts {
    pub(crate) cluster_ips: Vec<IpAddr>,
    /// By port.
    pub(crate) ports: Vec<PortFacts>,
    /// Empty: it selects nothing.
    pub(crate) selector: Option<Labels>,
}

/// A TCP port of a Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PortFacts {
    pub(crate) port: u16,
    pub(crate) name: Option<String>,
    pub(crate) protocol: Protocol,
    /// The pod's own port where the Service gives its number; a named one is known from the
    /// EndpointSlices.
    pub(crate) target: Option<u16>,
}

impl ServiceFacts {
    pub(crate) fn port(&self, port: u16) -> Option<&PortFacts> {
        self.ports.iter().find(|candidate| candidate.port == port)
    }

    /// Whether its clients find pods, and no address of its own.
    pub(crate) fn is_headless(&self) -> bool {
        self.cluster_ips.is_empty()
    }

    pub(crate) fn has_named_targets(&self) -> bool {
        self.ports.iter().any(|port| port.target.is_none())
    }
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SliceFacts {
    /// The Service's name; the namespace is the slice's own.
    pub(crate) service: String,
    pub(crate) ipv6: bool,
    /// Port name (empty where it has none) → the pod's own port.
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) endpoints: Vec<EndpointFacts>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndpointFacts {
    pub(crate) address: IpAddr,
    pub(crate) ready: bool,
    pub(crate) zone: Option<Arc<str>>,
    /// The pod's name, where the slice gives it.
    pub(crate) pod: Option<String>,
}

/// A Pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PodFacts {
    pub(crate) labels: Labels,
    pub(crate) service_account: String,
    pub(crate) meshed: bool,
    /// Ranges of its own ports that its proxy leaves out, both ends included.
    pub(crate) left_out: Vec<(u16, u16)>,
    /// None where others may have them too: on the host's network, or once the pod has ended.
    pub(crate) ips: Vec<IpAddr>,
    /// Two pods have one address only while it passes from one to the other: the younger has it.
    pub(crate) age: Age,
}

/// A Gateway of class `weft`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GatewayFacts {
    pub(crate) generation: i64,
    pub(crate) listeners: Vec<GatewayListener>,
}

/// How old an object is: creation time in seconds, then `namespace/name`. Files give no time;
/// then the name decides.
pub(crate) type Age = i64;

/// A VirtualRoute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RouteFacts {
    pub(crate) age: Age,
    pub(crate) parents: Vec<ParentRef>,
    pub(crate) rules: RouteRules,
}

impl RouteFacts {
    /// The Services that it forwards to, with the label keys of the subsets it names.
    pub(crate) fn backends(&self) -> BTreeMap<Name, BTreeSet<&str>> {
        let forwarded = self
            .rules
            .http
            .iter()
            .filter_map(|rule| match &rule.action {
                HttpAction::Forward(backends) => Some(backends),
                _ => None,
            });
        let mut services = BTreeMap::<Name, BTreeSet<&str>>::new();
        for backend in forwarded
            .chain(self.rules.tcp.iter().map(|rule| &rule.backends))
            .flatten()
        {
            services
                .entry((
                    backend.service.namespace.clone(),
                    backend.service.name.clone(),
                ))
                .or_default()
                .extend(backend.labels.iter().map(|(key, _)| key));
        }
        services
    }
}

/// A MeshPolicy.
#[derive(Clone, Debug, Default)]
pub(crate) struct MeshFacts {
    pub(crate) age: Age,
    pub(crate) targets: Vec<MeshTarget>,
    pub(crate) selector: Option<BTreeMap<String, String>>,
    pub(crate) mtls: Option<MtlsSetting>,
    pub(crate) client: Vec<ClientField>,
    pub(crate) is_client_side: bool,
}

/// An AuthPolicy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuthFacts {
    pub(crate) age: Age,
    pub(crate) targets: Vec<AuthTarget>,
    pub(crate) selector: Option<BTreeMap<String, String>>,
    /// Selects everything; the selector is put in per target.
    pub(crate) policy: AuthorizationPolicy,
}

/// An object of our own kinds: what it means, and what was refused of it since.
#[derive(Clone, Debug)]
pub(crate) struct Kept<F> {
    /// The newest generation that was seen.
    pub(crate) generation: i64,
    /// The last good meaning, or what stands for it until there is one.
    pub(crate) facts: Option<F>,
    /// Whether `facts` are what somebody wrote.
    pub(crate) good: bool,
    /// Why the newest generation was refused. Empty: it is the one that is meant.
    pub(crate) refused: Vec<Problem>,
    /// What `facts` were read from, age included, to know whether anything changed.
    pub(crate) digest: String,
}

/// The namespace's own Service, Gateway or whatever a policy stands for, as an index key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    Mesh,
    Namespace(String),
    Service(Name),
    Gateway(Name),
    /// Pods of a namespace.
    Pods(String),
}

/// A policy or route, as the indexes name it.
pub(crate) type Attached = (Kind, String, String);
