//! A case file's world on loopback: pods with applications and proxies, callers with proxies, a
//! gateway. Pod addresses are moved to loopback; everything else is as the operator lowers it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use futures::future::join_all;
use weft_crds::{
    Object,
    corpus::{CaseFile, Scene},
};
use weft_engine::{
    documents::{Document, DocumentName, EndpointsDocument, Protocol},
    identity::Workload,
    journey::Call,
};

use super::{
    app::App,
    client::{self, Seen},
    mesh::{Mesh, Proxy},
};

/// A pod with an application in it.
struct Pod {
    name: String,
    meshed: bool,
    workload: Workload,
    /// Where it is in the manifests.
    address: IpAddr,
    /// Where it is called on this machine.
    listen: IpAddr,
}

/// Who calls, and where its proxy listens for which service port.
type Bindings = BTreeMap<(String, u16), SocketAddr>;

pub(crate) struct Stage {
    pods: Vec<Pod>,
    /// Service → pod's address → Service port → pod's own port.
    members: BTreeMap<String, BTreeMap<IpAddr, BTreeMap<u16, u16>>>,
    callers: BTreeMap<String, Bindings>,
    gateways: BTreeMap<(String, u16), SocketAddr>,
    // Stopped when the stage is struck.
    _apps: Vec<App>,
    _proxies: Vec<Proxy>,
    _mesh: Mesh,
}

impl Stage {
    /// Starts what the cases need, and waits until it is ready. `number` gives the file its own
    /// addresses.
    pub(crate) async fn set(number: usize, file: &CaseFile) -> Self {
        let scene = Scene::of(file).expect("the manifests parse");
        let addresses = Addresses(number);
        let pods = pods(&scene, &addresses);
        let mesh = Mesh::new();
        publish(&mesh, &scene, &pods);
        let mut stage = Self {
            members: members(&scene),
            pods,
            callers: BTreeMap::new(),
            gateways: BTreeMap::new(),
            _apps: Vec::new(),
            _proxies: Vec::new(),
            _mesh: mesh,
        };
        let mut starting = Vec::new();
        for (index, pod) in stage.pods.iter().enumerate() {
            let ports = stage.ports_of(pod);
            let app = addresses.ip(2, index);
            let mut proxy = stage
                ._mesh
                .proxy(&pod.workload.namespace, &pod.workload.service_account)
                .arg("--labels", labels(&pod.workload));
            for (port, protocol) in ports {
                let here = if pod.meshed { app } else { pod.listen };
                let app = SocketAddr::new(here, port);
                stage._apps.push(App::start(&pod.name, app, protocol).await);
                proxy = proxy.inbound_bind(SocketAddr::new(pod.listen, port), app);
            }
            if pod.meshed {
                starting.push(proxy.start());
            }
        }
        let mut called: BTreeMap<String, (Workload, BTreeSet<(String, u16)>)> = BTreeMap::new();
        let mut entered: BTreeSet<(String, u16)> = BTreeSet::new();
        for case in &file.cases {
            let call = &case.call;
            match (&call.gateway, &call.source) {
                (Some(gateway), _) => {
                    entered.insert((gateway.clone(), call.port));
                }
                (None, Some(source)) => {
                    called
                        .entry(key(source))
                        .or_insert_with(|| (source.clone(), BTreeSet::new()))
                        .1
                        .insert((call.service.clone(), call.port));
                }
                (None, None) => {}
            }
        }
        for (index, (key, (source, targets))) in called.into_iter().enumerate() {
            let mut proxy = stage
                ._mesh
                .proxy(&source.namespace, &source.service_account)
                .arg("--labels", labels(&source));
            let mut bindings = Bindings::new();
            for (offset, (service, port)) in targets.into_iter().enumerate() {
                let at = SocketAddr::new(addresses.ip(3, index), 20_000 + offset as u16);
                proxy = proxy.outbound_bind(at, &format!("{service}:{port}"));
                bindings.insert((service, port), at);
            }
            stage.callers.insert(key, bindings);
            starting.push(proxy.start());
        }
        for (index, (gateway, port)) in entered.into_iter().enumerate() {
            let (namespace, name) = gateway.split_once('/').expect("a gateway has a namespace");
            let key = DocumentName::Gateway(namespace.to_owned(), name.to_owned());
            let Some(Document::Gateway(document)) = scene.documents.get(&key) else {
                panic!("{}: there is no gateway {gateway}", file.path.display());
            };
            let listener = document
                .listeners
                .iter()
                .find(|listener| listener.port == port)
                .expect("a listener of that port");
            let at = SocketAddr::new(addresses.ip(4, index), 18_080);
            starting.push(
                stage
                    ._mesh
                    .proxy(namespace, name)
                    .arg("--gateway", &gateway)
                    .arg("--gateway-bind", format!("{at}={}", listener.name))
                    .start(),
            );
            stage.gateways.insert((gateway, port), at);
        }
        stage._proxies = join_all(starting).await;
        stage
    }

    /// Makes a call.
    pub(crate) async fn play(&self, call: &Call) -> Seen {
        let at = match (&call.gateway, &call.source) {
            (Some(gateway), _) => self.gateways[&(gateway.clone(), call.port)],
            (None, Some(source)) => self.callers[&key(source)][&(call.service.clone(), call.port)],
            (None, None) => self.straight_to(&call.service, call.port),
        };
        match &call.http {
            Some(http) => {
                let authority = match (http.authority.as_str(), call.service.split_once('/')) {
                    ("", Some((namespace, name))) => {
                        format!("{name}.{namespace}.svc.cluster.local")
                    }
                    (authority, _) => authority.to_owned(),
                };
                client::http(at, http, &authority).await
            }
            None => client::tcp(at).await,
        }
    }

    /// The names of the pods behind a backend: `namespace/service:port{key=value,…}`.
    pub(crate) fn pods_of(&self, backend: &str) -> BTreeSet<String> {
        let (service, rest) = backend.split_once(':').unwrap_or((backend, ""));
        let wanted = rest
            .split_once('{')
            .map_or("", |(_, labels)| labels.trim_end_matches('}'));
        let behind = self.members.get(service);
        self.pods
            .iter()
            .filter(|pod| behind.is_some_and(|behind| behind.contains_key(&pod.address)))
            .filter(|pod| {
                wanted
                    .split(',')
                    .filter(|pair| !pair.is_empty())
                    .all(|pair| {
                        pair.split_once('=').is_some_and(|(key, value)| {
                            pod.workload.labels.get(key).map(String::as_str) == Some(value)
                        })
                    })
            })
            .map(|pod| pod.name.clone())
            .collect()
    }

    /// Where a client without a proxy finds a pod of a service.
    fn straight_to(&self, service: &str, port: u16) -> SocketAddr {
        let (address, ports) = self.members[service].iter().next().expect("a pod");
        let pod = self.pods.iter().find(|pod| pod.address == *address);
        SocketAddr::new(pod.expect("a pod").listen, ports[&port])
    }

    /// A pod's own ports and what its Services say is spoken there.
    fn ports_of(&self, pod: &Pod) -> BTreeMap<u16, Protocol> {
        self.members
            .values()
            .filter_map(|behind| behind.get(&pod.address))
            .flatten()
            .map(|(service_port, own)| {
                // The applications of the corpus speak TCP first exactly on these.
                let protocol = match service_port {
                    9090 | 5432 | 5433 => Protocol::Tcp,
                    7000 => Protocol::Auto,
                    _ => Protocol::Http,
                };
                (*own, protocol)
            })
            .collect()
    }
}

/// The addresses of one file on this machine.
struct Addresses(usize);

impl Addresses {
    /// `room`: 1 pods, 2 applications, 3 callers, 4 gateways.
    fn ip(&self, room: u8, index: usize) -> IpAddr {
        let file = u8::try_from(16 + self.0).expect("fewer than 48 case files");
        let index = u8::try_from(index + 1).expect("fewer than 255 of a kind");
        // The process id keeps two runs at one time apart.
        let run = (std::process::id() % 60) as u8 * 4 + room - 1;
        IpAddr::V4(Ipv4Addr::new(127, file, run, index))
    }
}

fn key(workload: &Workload) -> String {
    format!(
        "{}/{}{{{}}}",
        workload.namespace,
        workload.service_account,
        labels(workload)
    )
}

fn labels(workload: &Workload) -> String {
    let pairs: Vec<_> = workload
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

fn pods(scene: &Scene, addresses: &Addresses) -> Vec<Pod> {
    let manifests = scene.objects.iter().filter_map(|(object, _)| match object {
        Object::Pod(pod) => Some(pod),
        _ => None,
    });
    manifests
        .enumerate()
        .map(|(index, pod)| {
            let metadata = &pod.metadata;
            let name = metadata.name.clone().unwrap_or_default();
            let address = pod
                .status
                .as_ref()
                .and_then(|status| status.pod_ip.as_ref());
            Pod {
                address: address
                    .and_then(|address| address.parse().ok())
                    .unwrap_or_else(|| panic!("pod {name} has no podIP")),
                meshed: metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|own| own.contains_key("weft.dev/injected")),
                workload: Workload {
                    namespace: metadata.namespace.clone().unwrap_or_default(),
                    service_account: pod
                        .spec
                        .as_ref()
                        .and_then(|spec| spec.service_account_name.clone())
                        .unwrap_or_default(),
                    pod: name.clone(),
                    labels: metadata.labels.clone().unwrap_or_default(),
                },
                listen: addresses.ip(1, index),
                name,
            }
        })
        .collect()
}

fn members(scene: &Scene) -> BTreeMap<String, BTreeMap<IpAddr, BTreeMap<u16, u16>>> {
    let mut members: BTreeMap<_, BTreeMap<_, BTreeMap<_, _>>> = BTreeMap::new();
    for document in scene.documents.values() {
        if let Document::Endpoints(EndpointsDocument {
            namespace,
            name,
            groups,
            ..
        }) = document
        {
            for group in groups {
                for endpoint in &group.endpoints {
                    members
                        .entry(format!("{namespace}/{name}"))
                        .or_default()
                        .entry(endpoint.address)
                        .or_default()
                        .extend(group.ports.iter().map(|(port, target)| (*port, *target)));
                }
            }
        }
    }
    members
}

/// Writes the documents, with the pods' addresses moved to this machine.
fn publish(mesh: &Mesh, scene: &Scene, pods: &[Pod]) {
    for document in scene.documents.values() {
        let mut document = document.clone();
        match &mut document {
            Document::Mesh(settings) => {
                mesh.authority
                    .root_pem()
                    .clone_into(&mut settings.trust_bundle);
            }
            Document::Endpoints(endpoints) => {
                for endpoint in endpoints
                    .groups
                    .iter_mut()
                    .flat_map(|group| &mut group.endpoints)
                {
                    if let Some(pod) = pods.iter().find(|pod| pod.address == endpoint.address) {
                        endpoint.address = pod.listen;
                    }
                }
            }
            _ => {}
        }
        mesh.publish(document);
    }
}
