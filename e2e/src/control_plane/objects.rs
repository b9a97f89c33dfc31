//! What almost every test wants to exist: the three kinds, and namespaces.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use k8s_openapi::{
    api::core::v1::{Namespace, ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
    runtime::wait::{await_condition, conditions::is_crd_established},
};

use super::{ControlPlane, Error, Printed};

const ESTABLISHED_BOUND: Duration = Duration::from_secs(30);

/// Who the tests are, to the API server.
pub const FIELD_MANAGER: &str = "weft-e2e";

/// The generated definitions of VirtualRoute, MeshPolicy and AuthPolicy.
#[must_use]
pub fn crd_dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/crd"))
}

impl ControlPlane {
    /// Applies `config/crd` as a user does, and waits until the three kinds are served. May be
    /// called by every test.
    ///
    /// # Errors
    /// Where the API server refuses a definition, with its message, or does not serve it in time.
    pub async fn install_crds(&self) -> Result<Printed, Error> {
        let dir = crd_dir();
        let how = if dir.join("kustomization.yaml").is_file() {
            "-k"
        } else {
            "-f"
        };
        let dir = dir.to_string_lossy();
        let printed = self
            .kubectl()
            .run(&["apply", "--server-side", how, &dir])
            .await?;
        let crds: Api<CustomResourceDefinition> = Api::all(self.client().await?);
        for plural in ["virtualroutes", "meshpolicies", "authpolicies"] {
            let name = format!("{plural}.weft.dev");
            let served = await_condition(crds.clone(), &name, is_crd_established());
            tokio::time::timeout(ESTABLISHED_BOUND, served)
                .await
                .map_err(|_| Error::NotServed {
                    name: name.clone(),
                    after: ESTABLISHED_BOUND,
                    why: "not established".to_owned(),
                })?
                .map_err(|error| Error::NotServed {
                    name: name.clone(),
                    after: ESTABLISHED_BOUND,
                    why: error.to_string(),
                })?;
        }
        Ok(printed)
    }

    /// Makes a namespace with labels, and the service account `default` in it, which a controller
    /// makes in a whole cluster and without which no pod is admitted.
    ///
    /// # Errors
    /// Where the API server refuses.
    pub async fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<(), Error> {
        let client = self.client().await?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(
                    labels
                        .iter()
                        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                        .collect::<BTreeMap<_, _>>(),
                ),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::<Namespace>::all(client.clone())
            .patch(&namespace.name_any(), &params, &Patch::Apply(&namespace))
            .await
            .map_err(Error::client("cannot make a namespace"))?;
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some("default".to_owned()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        Api::<ServiceAccount>::namespaced(client, name)
            .patch("default", &params, &Patch::Apply(&account))
            .await
            .map_err(Error::client("cannot make the service account default"))?;
        Ok(())
    }
}
