use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use kube::Client;
use weft_e2e::control_plane::ControlPlane;

use super::{requests::Requests, store::Store};
use crate::{BenchError, running::free};

/// Where documents are published.
pub(super) const CONFIG: &str = "weft-config";

/// A control plane with Weft's kinds, namespaces and rights.
pub(super) struct Stage {
    plane: ControlPlane,
    /// weft-operator and weft-proxy.
    pub(super) operator: PathBuf,
    pub(super) proxy: PathBuf,
    /// Where proxies report. The same at each start: proxies are told it by the document `mesh`.
    pub(super) reports: SocketAddr,
    /// With the operator's own rights.
    pub(super) operator_kubeconfig: PathBuf,
    /// With the rights of an administrator.
    pub(super) client: Client,
    pub(super) requests: Requests,
    pub(super) store: Store,
}

impl Stage {
    pub(super) async fn set((operator, proxy): (PathBuf, PathBuf)) -> Result<Self, BenchError> {
        let plane = ControlPlane::start()
            .await
            .map_err(BenchError::api("start"))?;
        plane
            .install_crds()
            .await
            .map_err(BenchError::api("config/crd"))?;
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        for part in ["operator", "rbac"] {
            let folder = config.join(part).display().to_string();
            let arguments = ["apply", "--server-side", "-k", &folder];
            let applied = plane.kubectl().run(&arguments).await;
            applied.map_err(BenchError::api("config/operator and config/rbac"))?;
        }
        let operator_kubeconfig = plane
            .service_account_kubeconfig("weft-system", "weft-operator")
            .await
            .map_err(BenchError::api("the operator's token"))?;
        let client = plane.client().await.map_err(BenchError::api("client"))?;
        let store = plane.store().await.map_err(BenchError::api("etcd"))?;
        Ok(Self {
            operator,
            proxy,
            reports: free()?,
            operator_kubeconfig,
            requests: Requests::new(client.clone()),
            client,
            store: Store::new(store),
            plane,
        })
    }

    /// kube-apiserver and etcd.
    pub(super) fn pids(&self) -> Vec<u32> {
        let [api_server, etcd] = self.plane.pids();
        api_server.into_iter().chain(etcd).collect()
    }

    /// kube-apiserver.
    pub(super) fn api_server(&self) -> u32 {
        self.plane.pids()[0].unwrap_or(0)
    }

    pub(super) fn url(&self) -> String {
        self.plane.url()
    }

    /// A file below a folder that goes with the control plane.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.plane.dir().join(name)
    }

    pub(super) async fn namespace(&self, name: &str) -> Result<(), BenchError> {
        self.plane
            .create_namespace(name, &[("weft.dev/inject", "enabled")])
            .await
            .map_err(BenchError::api("a namespace"))
    }

    /// A file with a token of the account that every pod here runs as.
    pub(super) async fn token(&self, namespace: &str) -> Result<PathBuf, BenchError> {
        let token = self.plane.service_account_token(namespace, "default").await;
        let path = self.path("token");
        let token = token.map_err(BenchError::api("a proxy's token"))?;
        std::fs::write(&path, token).map_err(BenchError::file(&path))?;
        Ok(path)
    }

    /// Removes every published document: the next start is a cold one.
    pub(super) async fn forget_documents(&self) -> Result<(), BenchError> {
        self.store
            .delete_below(&format!("/registry/configmaps/{CONFIG}/"))
            .await
    }
}
