use serde_json::Value;

use crate::Error;

/// A file of `config/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Below `config/`.
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(File {
            path: $path,
            text: include_str!(concat!("../../config/", $path)),
        }),+]
    };
}

/// Every manifest, in the order in which it is applied: what others need first, the webhooks
/// last.
pub(crate) const FILES: &[File] = files![
    "crd/virtualroutes.weft.dev.yaml",
    "crd/meshpolicies.weft.dev.yaml",
    "crd/authpolicies.weft.dev.yaml",
    "operator/namespaces.yaml",
    "operator/service-account.yaml",
    "rbac/operator.yaml",
    "rbac/identities.yaml",
    "rbac/proxy.yaml",
    "operator/deployment.yaml",
    "operator/disruption-budget.yaml",
    "webhook/service.yaml",
    "webhook/injector.yaml",
    "webhook/validator.yaml",
    "gateway/namespace.yaml",
    "gateway/service-account.yaml",
    "gateway/deployment.yaml",
    "gateway/disruption-budget.yaml",
    "gateway/service.yaml",
];

impl File {
    /// Whether it is of the gateway, which is not installed unless it is asked for.
    pub(crate) fn is_gateway(&self) -> bool {
        self.path.starts_with("gateway/")
    }

    /// Its objects, in order.
    pub(crate) fn objects(&self) -> Result<Vec<Value>, Error> {
        let objects: Result<Vec<Value>, _> = serde_saphyr::from_multiple(self.text);
        objects.map_err(|error| Error::Source {
            path: self.path,
            why: error.to_string(),
        })
    }
}
