use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use weft_crds::{Kind, Object, ObjectRef};
use weft_engine::problem::{Code, Problem, Severity};

use super::Change;

/// The resource of a kind that is read one by one.
pub(crate) fn resource_of(kind: Kind) -> ApiResource {
    let (group, version) = if kind.is_own() {
        (weft_crds::GROUP, weft_crds::VERSION)
    } else {
        ("gateway.networking.k8s.io", "v1")
    };
    let name = name_of(kind);
    let plural = match kind {
        Kind::MeshPolicy => "meshpolicies".to_owned(),
        Kind::AuthPolicy => "authpolicies".to_owned(),
        _ => format!("{}s", name.to_lowercase()),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), &plural)
}

/// A kind's name, for labels.
pub(crate) fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "Namespace",
        Kind::Service => "Service",
        Kind::EndpointSlice => "EndpointSlice",
        Kind::Pod => "Pod",
        Kind::ServiceAccount => "ServiceAccount",
        Kind::Gateway => "Gateway",
        Kind::VirtualRoute => "VirtualRoute",
        Kind::MeshPolicy => "MeshPolicy",
        Kind::AuthPolicy => "AuthPolicy",
    }
}

/// `(namespace, name)`.
pub(super) fn names(metadata: &ObjectMeta) -> (String, String) {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// An object that is read from what was sent, and not as the type that its kind has.
pub(super) fn read(kind: Kind, mut object: DynamicObject, types: &TypeMeta) -> Option<Change> {
    object.metadata.managed_fields = None;
    object.types.get_or_insert_with(|| types.clone());
    let (namespace, name) = names(&object.metadata);
    let unreadable = |message: String| {
        let object = ObjectRef::new(kind, namespace.clone(), name.clone());
        Some(Change::Unreadable {
            problem: Problem {
                severity: Severity::Error,
                code: Code::Invalid,
                object: object.to_string(),
                field: String::new(),
                message,
                fix: "apply it again in a form that the installed CRD accepts; its last good meaning stays in force until then".to_owned(),
            },
            object,
        })
    };
    let value = match serde_json::to_value(object) {
        Ok(value) => value,
        Err(error) => return unreadable(error.to_string()),
    };
    match Object::from_manifest(&value) {
        Ok(object) => object.map(|object| Change::Applied {
            object: Box::new(object),
            status: value.get("status").cloned(),
        }),
        Err(error) => unreadable(error.to_string()),
    }
}
