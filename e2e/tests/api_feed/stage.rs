use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Parser;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use weft_e2e::control_plane::ControlPlane;
use weft_engine::documents::{
    Document, DocumentName, Endpoint, EndpointGroup, EndpointsDocument, Envelope, Labels,
};
use weft_proxy::{bootstrap::Bootstrap, config::ApiServer};

use crate::relay::Relay;

pub(crate) const CONFIG: &str = "weft-config";

/// Everything that is waited for comes within this on a machine that builds at the same time.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// An API server of this test's own, reached through a relay, with the rights of a proxy.
pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    pub(crate) relay: Relay,
    pub(crate) maps: Api<ConfigMap>,
}

impl Stage {
    pub(crate) async fn enter() -> Self {
        let plane = ControlPlane::start().await.unwrap();
        plane.create_namespace("shop", &[]).await.unwrap();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        for part in ["operator", "rbac"] {
            let part = config.join(part);
            let args = ["apply", "--server-side", "-k", &part.to_string_lossy()];
            plane.kubectl().run(&args).await.unwrap();
        }
        let client = plane.client().await.unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "shop");
        let account = serde_json::from_value(json!({"metadata": {"name": "frontend"}})).unwrap();
        accounts
            .create(&PostParams::default(), &account)
            .await
            .unwrap();
        // As the operator binds the accounts of a namespace of the mesh.
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "frontend", "namespace": CONFIG},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "weft-proxy"},
            "subjects": [{"kind": "ServiceAccount", "name": "frontend", "namespace": "shop"}],
        });
        let args = ["apply", "--server-side", "-f", "-"];
        let kubectl = plane.kubectl();
        kubectl
            .run_with_input(&args, &binding.to_string())
            .await
            .unwrap();
        let token = plane.service_account_token("shop", "frontend").await;
        std::fs::write(plane.dir().join("token"), token.unwrap()).unwrap();
        let address = plane.url().trim_start_matches("https://").parse().unwrap();
        Self {
            relay: Relay::to(address).await,
            maps: Api::namespaced(client, CONFIG),
            plane,
        }
    }

    /// The API server as a proxy finds it.
    pub(crate) fn server(&self) -> ApiServer {
        let file = |name: &str| self.plane.dir().join(name).display().to_string();
        let bootstrap = Bootstrap::parse_from([
            "weft-proxy",
            "--namespace=shop",
            "--config-api",
            &format!("--api-server=https://{}", self.relay.address),
            &format!("--api-token-file={}", file("token")),
            &format!("--api-ca-file={}", file("ca.crt")),
        ]);
        ApiServer::find(&bootstrap).unwrap()
    }

    /// Writes a document as the operator does, however long it takes.
    pub(crate) async fn write(&self, document: Document) {
        let name = name_of(&document).to_string();
        let json = Envelope::seal(document).to_json();
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name}, "data": {"document": json},
        });
        let params = PatchParams::apply("weft-operator").force();
        let started = Instant::now();
        while let Err(error) = self.maps.patch(&name, &params, &Patch::Apply(&map)).await {
            assert!(
                started.elapsed() < BOUND,
                "{name} cannot be written: {error}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn delete(&self, name: &DocumentName) {
        let name = name.to_string();
        self.maps
            .delete(&name, &DeleteParams::default())
            .await
            .unwrap();
    }
}

fn name_of(document: &Document) -> DocumentName {
    match document {
        Document::Endpoints(d) => {
            DocumentName::Endpoints(d.namespace.clone(), d.name.clone(), d.shard)
        }
        Document::Service(d) => DocumentName::Service(d.namespace.clone(), d.name.clone()),
        other => panic!("no test writes {other:?}"),
    }
}

/// Endpoints of `shop/<service>` that say which swap they come from.
pub(crate) fn endpoints(service: &str, swap: u16) -> Document {
    Document::Endpoints(EndpointsDocument {
        namespace: "shop".to_owned(),
        name: service.to_owned(),
        shard: 0,
        groups: vec![EndpointGroup {
            ports: [(80, 8080)].into(),
            endpoints: vec![Endpoint {
                address: [10, 0, (swap >> 8) as u8, (swap & 255) as u8].into(),
                identity: None,
                zone: None,
                labels: Labels::default(),
                ready: true,
            }],
        }],
    })
}
