use std::{fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use weft_e2e::control_plane::ControlPlane;

pub(crate) const KINDS: [&str; 3] = ["VirtualRoute", "MeshPolicy", "AuthPolicy"];

pub(crate) async fn plane() -> &'static ControlPlane {
    let plane = ControlPlane::shared().await.unwrap();
    plane.install_crds().await.unwrap();
    plane
}

pub(crate) fn api(client: Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("weft.dev", "v1alpha1", kind);
    let plural = match kind.kind.as_str() {
        "VirtualRoute" => "virtualroutes",
        "MeshPolicy" => "meshpolicies",
        _ => "authpolicies",
    };
    Api::namespaced_with(
        client,
        namespace,
        &ApiResource::from_gvk_with_plural(&kind, plural),
    )
}

pub(crate) fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/api_crds")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) async fn definitions(client: &Client) -> Vec<CustomResourceDefinition> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut found = Vec::new();
    for plural in ["virtualroutes", "meshpolicies", "authpolicies"] {
        found.push(crds.get(&format!("{plural}.weft.dev")).await.unwrap());
    }
    found
}
