//! A mesh of real proxy processes on loopback: config documents and identities written by the
//! test, addresses that no other test has, everything stopped on drop.
// Every test binary uses its part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod api_server;
pub mod applications;
pub mod authority;
pub mod peer;
mod process;

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use weft_engine::documents::{
    Document, DocumentName, Endpoint, EndpointGroup, EndpointsDocument, Envelope, InboundDocument,
    InboundPort, MeshDocument, Protocol, Selector, ServiceDocument, ServicePort,
};

pub use authority::Authority;
pub use process::{Proxy, ProxyBuilder, http_get};

pub const TRUST_DOMAIN: &str = "cluster.local";

/// Every wait of a test ends here.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One mesh: a directory with config and identities, and an authority.
pub struct Mesh {
    directory: TempDir,
    pub authority: Authority,
}

/// Waits until `condition` gives something; panics with `what` when it takes too long.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A loopback address that nothing else of this machine's tests uses: the process id is in it.
pub fn fresh_ip() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(n < 255, "one test binary has 254 addresses");
    let pid = std::process::id();
    Ipv4Addr::new(
        127,
        64 + ((pid >> 8) & 127) as u8,
        (pid & 255) as u8,
        n as u8,
    )
}

/// A free address on a fresh IP.
pub fn fresh_address() -> SocketAddr {
    let probe = TcpListener::bind((fresh_ip(), 0)).expect("loopback addresses can be bound");
    probe.local_addr().expect("a bound socket has an address")
}

/// An endpoint for a service document.
#[derive(Clone, Debug)]
pub struct Member {
    /// Where its proxy (or, unmeshed, the application itself) listens.
    pub address: SocketAddr,
    /// `Some(service account)` in the service's namespace: meshed.
    pub service_account: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Member {
    pub fn meshed(address: SocketAddr, service_account: &str) -> Self {
        Self {
            address,
            service_account: Some(service_account.to_owned()),
            labels: BTreeMap::new(),
        }
    }

    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            service_account: None,
            labels: BTreeMap::new(),
        }
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }
}

impl Mesh {
    /// A mesh with the document `mesh` and nothing else.
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        fs::create_dir(directory.path().join("config")).unwrap();
        let mesh = Self {
            directory,
            authority: Authority::new(),
        };
        mesh.publish(Document::Mesh(MeshDocument {
            trust_domain: TRUST_DOMAIN.to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            trust_bundle: mesh.authority.root_pem().to_owned(),
            ..MeshDocument::default()
        }));
        mesh
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn config_dir(&self) -> PathBuf {
        self.path().join("config")
    }

    pub fn identity_dir(&self, namespace: &str, service_account: &str) -> PathBuf {
        self.path()
            .join("identities")
            .join(namespace)
            .join(service_account)
    }

    /// Writes a document as the operator does: temporary file, then rename.
    pub fn publish(&self, document: Document) {
        let name = name_of(&document);
        self.publish_raw(&name, &Envelope::seal(document).to_json());
    }

    /// Writes any bytes under a document's name.
    pub fn publish_raw(&self, name: &DocumentName, json: &str) {
        let temporary = self.config_dir().join(format!(".{name}.tmp"));
        fs::write(&temporary, json).unwrap();
        fs::rename(temporary, self.config_dir().join(format!("{name}.json"))).unwrap();
    }

    pub fn withdraw(&self, name: &DocumentName) {
        fs::remove_file(self.config_dir().join(format!("{name}.json"))).unwrap();
    }

    /// Writes a service with one port and its endpoints. `change` may add routes and policy.
    pub fn service(
        &self,
        (namespace, name): (&str, &str),
        port: u16,
        protocol: Protocol,
        members: &[Member],
        change: impl FnOnce(&mut ServicePort),
    ) {
        let mut service_port = ServicePort {
            port,
            protocol,
            ..ServicePort::default()
        };
        change(&mut service_port);
        self.endpoints((namespace, name), port, members);
        self.publish(Document::Service(ServiceDocument {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ports: vec![service_port],
            endpoint_shards: 1,
            ..ServiceDocument::default()
        }));
    }

    /// Writes only the endpoints of a service.
    pub fn endpoints(&self, (namespace, name): (&str, &str), port: u16, members: &[Member]) {
        let groups = members.iter().map(|member| EndpointGroup {
            ports: [(port, member.address.port())].into(),
            endpoints: vec![Endpoint {
                address: member.address.ip(),
                identity: member
                    .service_account
                    .as_ref()
                    .map(|sa| spiffe(namespace, sa)),
                zone: None,
                labels: (&member.labels).into(),
                ready: true,
            }],
        });
        self.publish(Document::Endpoints(EndpointsDocument {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            shard: 0,
            groups: groups.collect(),
        }));
    }

    /// Writes a namespace's inbound document with declared ports; `change` may add mTLS
    /// settings and policies.
    pub fn inbound(
        &self,
        namespace: &str,
        ports: &[(u16, Protocol)],
        change: impl FnOnce(&mut InboundDocument),
    ) {
        let ports = ports.iter().map(|(port, protocol)| InboundPort {
            service: "any".to_owned(),
            selector: Selector::All,
            port: *port,
            protocol: *protocol,
        });
        let mut document = InboundDocument {
            namespace: namespace.to_owned(),
            ports: ports.collect(),
            ..InboundDocument::default()
        };
        change(&mut document);
        self.publish(Document::Inbound(document));
    }

    /// Issues an identity (again: rotates it), as the kubelet lays out a Secret volume.
    pub fn issue(&self, namespace: &str, service_account: &str) -> PathBuf {
        let id = spiffe(namespace, service_account);
        let issued = self.authority.issue(&id);
        let directory = self.identity_dir(namespace, service_account);
        authority::lay_out(&directory, &issued);
        directory
    }

    /// A proxy for a workload; its identity is issued if there is none yet.
    pub fn proxy(&self, namespace: &str, service_account: &str) -> ProxyBuilder {
        if !self.identity_dir(namespace, service_account).exists() {
            self.issue(namespace, service_account);
        }
        ProxyBuilder::new(self, namespace, service_account)
    }
}

pub fn spiffe(namespace: &str, service_account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}")
}

pub fn name_of(document: &Document) -> DocumentName {
    match document {
        Document::Mesh(_) => DocumentName::Mesh,
        Document::Index(d) => DocumentName::Index(d.shard),
        Document::Addresses(d) => DocumentName::Addresses(d.shard),
        Document::Service(d) => DocumentName::Service(d.namespace.clone(), d.name.clone()),
        Document::Endpoints(d) => {
            DocumentName::Endpoints(d.namespace.clone(), d.name.clone(), d.shard)
        }
        Document::Inbound(d) => DocumentName::Inbound(d.namespace.clone()),
        Document::Gateway(d) => DocumentName::Gateway(d.namespace.clone(), d.name.clone()),
    }
}

/// An address of the same port on a fresh IP: for an application behind a proxy that listens on
/// the pod's own port.
pub fn beside(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(fresh_ip()), address.port())
}
