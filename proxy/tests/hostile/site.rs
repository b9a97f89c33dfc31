use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_engine::documents::{
    AuthorizationPolicy, Backend, Document, GatewayDocument, GatewayListener, HttpAction, Protocol,
    ServiceRef,
};
use weft_proxy::identity::MeshAlpn;

use crate::{
    frames,
    mesh::{Member, Mesh, Proxy, applications, eventually, fresh_ip, peer, spiffe},
    web::{App, rule, text},
    wire,
};

/// Nothing takes longer than this.
pub const BOUND: Duration = Duration::from_secs(8);

/// The header time-out of the proxies under attack.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// How requests name the service.
pub const HOST: &str = "api.shop:80";

pub trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytes for S {}

/// A connection to a listener, mesh TLS done where the listener wants it.
pub type Connection = Box<dyn Bytes>;

/// A kind of listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The capture port, dialled directly: the service by `Host`.
    OutboundHost,
    /// Bound to one HTTP service port.
    OutboundService,
    /// Bound to one TCP service port.
    OutboundTcp,
    /// A pod's HTTP port, in plaintext.
    InboundPlain,
    /// A pod's TCP port, in plaintext.
    InboundTcp,
    /// A pod's HTTP port, HTTP/1.1 in mesh TLS.
    MeshHttp1,
    /// A pod's HTTP port, HTTP/2 in mesh TLS.
    MeshHttp2,
    Gateway,
    Metrics,
    Admin,
}

pub const EVERY: [Door; 10] = [
    Door::OutboundHost,
    Door::OutboundService,
    Door::OutboundTcp,
    Door::InboundPlain,
    Door::InboundTcp,
    Door::MeshHttp1,
    Door::MeshHttp2,
    Door::Gateway,
    Door::Metrics,
    Door::Admin,
];

/// Where the mesh itself serves HTTP/1.1.
pub const PROXIED: [Door; 5] = [
    Door::OutboundHost,
    Door::OutboundService,
    Door::InboundPlain,
    Door::MeshHttp1,
    Door::Gateway,
];

/// Where anything serves HTTP/1.1.
pub const HTTP1: [Door; 7] = [
    Door::OutboundHost,
    Door::OutboundService,
    Door::InboundPlain,
    Door::MeshHttp1,
    Door::Gateway,
    Door::Metrics,
    Door::Admin,
];

/// Where the mesh serves HTTP/2.
pub const HTTP2: [Door; 5] = [
    Door::OutboundHost,
    Door::OutboundService,
    Door::InboundPlain,
    Door::MeshHttp2,
    Door::Gateway,
];

/// A workload `shop/api` with an HTTP and a TCP port, a client `web/frontend`, a gateway
/// `edge/public`; one process each.
pub struct Site {
    /// Holds the directory of config and identities.
    _mesh: Mesh,
    /// In front of the applications.
    pub server: Proxy,
    /// Beside the client; its metrics and admin ports are the ones under attack.
    pub client: Proxy,
    pub gateway: Proxy,
    /// What came through.
    pub app: App,
    identity: PathBuf,
    pod: SocketAddr,
    pod_tcp: SocketAddr,
    to_service: SocketAddr,
    to_tcp: SocketAddr,
    to_gateway: SocketAddr,
}

impl Site {
    pub async fn open(policies: Vec<AuthorizationPolicy>) -> Self {
        let mesh = Mesh::new();
        let (pods, apps, edges) = (fresh_ip(), fresh_ip(), fresh_ip());
        let at = |ip, port| SocketAddr::from((ip, port));
        let (pod, pod_tcp) = (at(pods, 8080), at(pods, 9000));
        let (to_service, to_tcp, to_gateway) = (at(edges, 7001), at(edges, 7002), at(edges, 7003));

        let ports = [(8080, Protocol::Http), (9000, Protocol::Tcp)];
        mesh.inbound("shop", &ports, |document| document.authorization = policies);
        mesh.inbound("web", &[], |_| {});
        mesh.inbound("edge", &[], |_| {});
        let api = ("shop", "api");
        mesh.service(
            api,
            80,
            Protocol::Http,
            &[Member::meshed(pod, "api")],
            |_| {},
        );
        let echo = ("shop", "echo");
        mesh.service(
            echo,
            90,
            Protocol::Tcp,
            &[Member::meshed(pod_tcp, "api")],
            |_| {},
        );
        let mut forward = rule();
        forward.action = HttpAction::Forward(vec![Backend {
            service: ServiceRef {
                namespace: "shop".to_owned(),
                name: "api".to_owned(),
                port: 80,
            },
            weight: 1,
            labels: Default::default(),
            invalid: false,
        }]);
        mesh.publish(Document::Gateway(GatewayDocument {
            namespace: "edge".to_owned(),
            name: "public".to_owned(),
            listeners: vec![GatewayListener {
                tls: false,
                name: "http".to_owned(),
                port: 80,
                hostname: None,
                http: vec![forward],
            }],
            authorization: Vec::new(),
        }));

        applications::echo(at(apps, 9000)).await;
        let app = App::start(at(apps, 8080), |request| async move {
            if request.uri().path().ends_with("/big") {
                return text(200, &"x".repeat(4 << 20));
            }
            text(200, "ok")
        })
        .await;
        let server = mesh
            .proxy("shop", "api")
            .inbound_bind(pod, at(apps, 8080))
            .inbound_bind(pod_tcp, at(apps, 9000))
            .arg("--header-timeout", "2s");
        let client = mesh
            .proxy("web", "frontend")
            .outbound_bind(to_service, "shop/api:80")
            .outbound_bind(to_tcp, "shop/echo:90")
            .arg("--header-timeout", "2s");
        let gateway = mesh
            .proxy("edge", "public")
            .arg("--gateway", "edge/public")
            .arg("--gateway-bind", format!("{to_gateway}=http"))
            .arg("--header-timeout", "2s");
        let (server, client, gateway) =
            futures::join!(server.start(), client.start(), gateway.start());
        let site = Self {
            identity: mesh.identity_dir("web", "frontend"),
            _mesh: mesh,
            server,
            client,
            gateway,
            app,
            pod,
            pod_tcp,
            to_service,
            to_tcp,
            to_gateway,
        };
        // A proxy is ready before it has fetched the services it was not asked for yet.
        eventually("every listener serves", || async {
            site.unharmed().await.ok()
        })
        .await;
        site
    }

    /// As whom mesh TLS is spoken.
    pub fn client_identity(&self) -> &Path {
        &self.identity
    }

    pub fn address(&self, door: Door) -> SocketAddr {
        match door {
            Door::OutboundHost => self.client.outbound,
            Door::OutboundService => self.to_service,
            Door::OutboundTcp => self.to_tcp,
            Door::InboundPlain | Door::MeshHttp1 | Door::MeshHttp2 => self.pod,
            Door::InboundTcp => self.pod_tcp,
            Door::Gateway => self.to_gateway,
            Door::Metrics => self.client.metrics,
            Door::Admin => self.client.admin,
        }
    }

    /// The process behind a door.
    pub fn process(&self, door: Door) -> u32 {
        match door {
            Door::InboundPlain | Door::InboundTcp | Door::MeshHttp1 | Door::MeshHttp2 => {
                self.server.id()
            }
            Door::Gateway => self.gateway.id(),
            _ => self.client.id(),
        }
    }

    /// What `Host` a good request has there.
    pub fn host(door: Door) -> &'static str {
        match door {
            Door::Metrics | Door::Admin => "127.0.0.1",
            _ => HOST,
        }
    }

    /// What a good request asks for there.
    pub fn good_path(door: Door) -> &'static str {
        match door {
            Door::Metrics => "/ready",
            Door::Admin => "/config",
            _ => "/public/good",
        }
    }

    /// A bare connection, without TLS.
    pub async fn dial(&self, door: Door) -> Connection {
        let mut stream = TcpStream::connect(self.address(door)).await;
        // One that is refused at once may end before `connect` has noticed that it succeeded.
        for _ in 0..10 {
            if stream.is_ok() {
                break;
            }
            stream = TcpStream::connect(self.address(door)).await;
        }
        Box::new(stream.expect("the listener accepts"))
    }

    /// A connection on which the door's protocol can be spoken.
    pub async fn connect(&self, door: Door) -> Connection {
        let alpn = match door {
            Door::MeshHttp1 => MeshAlpn::Http1,
            Door::MeshHttp2 => MeshAlpn::H2,
            _ => return self.dial(door).await,
        };
        let api = spiffe("shop", "api");
        let stream = peer::connect(&self.identity, self.address(door), &api, alpn).await;
        Box::new(stream.expect("mesh TLS is accepted"))
    }

    /// Whether a good exchange succeeds at a door.
    pub async fn serves(&self, door: Door) -> Result<(), String> {
        let exchange = async {
            match door {
                Door::OutboundTcp | Door::InboundTcp => match self.echoes(door).await {
                    true => Ok(()),
                    false => Err("no echo".to_owned()),
                },
                Door::MeshHttp2 => {
                    let bytes = frames::get(Self::host(door), Self::good_path(door));
                    let answer = frames::exchange(self.connect(door).await, &bytes).await;
                    let served = answer.status() == Some(200);
                    served.then_some(()).ok_or_else(|| format!("{answer:?}"))
                }
                _ => {
                    let request = wire::get(Self::host(door), Self::good_path(door));
                    let answer = wire::exchange(self.connect(door).await, &request).await;
                    let served = answer.statuses == [200];
                    served.then_some(()).ok_or_else(|| answer.text())
                }
            }
        };
        match timeout(BOUND * 2, exchange).await {
            Ok(served) => served.map_err(|why| format!("{door:?} serves no good request: {why}")),
            Err(_) => Err(format!("{door:?} does not answer a good request")),
        }
    }

    async fn echoes(&self, door: Door) -> bool {
        let mut stream = self.dial(door).await;
        let mut back = [0; 4];
        stream.write_all(b"ping").await.is_ok()
            && stream.read_exact(&mut back).await.is_ok()
            && &back == b"ping"
    }

    /// Whether every process lives, none has panicked, and every door serves.
    pub async fn unharmed(&self) -> Result<(), String> {
        for proxy in [&self.server, &self.client, &self.gateway] {
            let log = proxy.log();
            if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
                return Err(format!("a panic: {line}"));
            }
            let state = std::fs::read_to_string(format!("/proc/{}/stat", proxy.id()));
            if state.is_ok_and(|state| state.contains(") Z ")) {
                return Err("a proxy has ended".to_owned());
            }
        }
        for served in futures::future::join_all(EVERY.map(|door| self.serves(door))).await {
            served?;
        }
        Ok(())
    }
}

/// Fails with everything that went wrong at once.
pub fn nothing_wrong(wrong: Vec<String>) {
    assert!(
        wrong.is_empty(),
        "{} failed:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
