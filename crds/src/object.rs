//! One input object.

use std::{fmt, str::FromStr};

use k8s_openapi::{
    api::{
        core::v1::{Namespace, Pod, Service, ServiceAccount},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_engine::problem::{Code, Problem, Severity};

pub use crate::gateway::{
    AllowedFrom, AllowedNamespaces, AllowedRoutes, Gateway, GatewayListener, GatewaySpec,
};
use crate::{AuthPolicy, MeshPolicy, VirtualRoute};

/// The kinds that the mesh is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // the kinds' own names
pub enum Kind {
    Namespace,
    Service,
    EndpointSlice,
    Pod,
    ServiceAccount,
    Gateway,
    VirtualRoute,
    MeshPolicy,
    AuthPolicy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Namespace,
        Self::Service,
        Self::EndpointSlice,
        Self::Pod,
        Self::ServiceAccount,
        Self::Gateway,
        Self::VirtualRoute,
        Self::MeshPolicy,
        Self::AuthPolicy,
    ];

    /// The kind that an apiVersion and a kind name; `None` for those that the mesh does not
    /// look at.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Some(match (group, kind) {
            ("", "Namespace") => Self::Namespace,
            ("", "Service") => Self::Service,
            ("discovery.k8s.io", "EndpointSlice") => Self::EndpointSlice,
            ("", "Pod") => Self::Pod,
            ("", "ServiceAccount") => Self::ServiceAccount,
            ("gateway.networking.k8s.io", "Gateway") => Self::Gateway,
            (crate::GROUP, "VirtualRoute") => Self::VirtualRoute,
            (crate::GROUP, "MeshPolicy") => Self::MeshPolicy,
            (crate::GROUP, "AuthPolicy") => Self::AuthPolicy,
            _ => return None,
        })
    }

    /// Whether objects of this kind have a namespace.
    pub fn is_namespaced(self) -> bool {
        self != Self::Namespace
    }

    /// Whether this is one of the three kinds of Weft's own.
    pub fn is_own(self) -> bool {
        matches!(
            self,
            Self::VirtualRoute | Self::MeshPolicy | Self::AuthPolicy
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which object. Shown as problems name it: `VirtualRoute shop/reviews`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a Namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// Names an object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A text that names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object's name; write it like `VirtualRoute shop/reviews`")]
pub struct NotAnObject;

impl FromStr for ObjectRef {
    type Err = NotAnObject;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, NotAnObject> {
        let (kind, rest) = text.split_once(' ').ok_or(NotAnObject)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.to_string() == kind)
            .ok_or(NotAnObject)?;
        let (namespace, name) = match rest.split_once('/') {
            Some(parts) if kind.is_namespaced() => parts,
            None if !kind.is_namespaced() => ("", rest),
            _ => return Err(NotAnObject),
        };
        Ok(Self::new(kind, namespace, name))
    }
}

/// One input object.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the kinds' own names
pub enum Object {
    Namespace(Box<Namespace>),
    Service(Box<Service>),
    EndpointSlice(Box<EndpointSlice>),
    Pod(Box<Pod>),
    ServiceAccount(Box<ServiceAccount>),
    Gateway(Box<Gateway>),
    VirtualRoute(Box<VirtualRoute>),
    MeshPolicy(Box<MeshPolicy>),
    AuthPolicy(Box<AuthPolicy>),
    /// An object of the mesh's own kinds that was refused. The World keeps its last good
    /// meaning; one that never had any fails closed, as its type says.
    Invalid(Box<InvalidObject>),
}

/// An object that was refused, and why.
#[derive(Clone, Debug)]
pub struct InvalidObject {
    /// Which object.
    pub reference: ObjectRef,
    /// The generation that was refused.
    pub generation: i64,
    /// What could be read of it, as far as it could be read.
    pub readable: Option<Object>,
    /// Why it was refused; never empty.
    pub problems: Vec<Problem>,
}

/// Why a manifest is not an object.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// `apiVersion`, `kind` or `metadata.name` is missing.
    #[error("{0} is missing; every Kubernetes object has apiVersion, kind and metadata.name")]
    Missing(&'static str),
    /// A field has the wrong type or an unknown value.
    #[error("{reference}: {source}; correct the field, or see `kubectl explain`")]
    Shape {
        /// Which object.
        reference: ObjectRef,
        /// What the reader found.
        source: serde_json::Error,
    },
}

impl Object {
    /// Reads a manifest. `Ok(None)`: a kind that the mesh does not look at. Objects without
    /// namespace are in `default`, as with kubectl. Our own kinds are checked by
    /// [`crate::validate`], and are [`Object::Invalid`] when refused.
    pub fn from_manifest(value: &Value) -> Result<Option<Self>, ManifestError> {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        let api_version = text("/apiVersion").ok_or(ManifestError::Missing("apiVersion"))?;
        let kind = text("/kind").ok_or(ManifestError::Missing("kind"))?;
        let Some(kind) = Kind::of(api_version, kind) else {
            return Ok(None);
        };
        let name = text("/metadata/name").ok_or(ManifestError::Missing("metadata.name"))?;
        let namespace = if kind.is_namespaced() {
            text("/metadata/namespace").unwrap_or("default")
        } else {
            ""
        };
        let reference = ObjectRef::new(kind, namespace, name);
        let problems = if kind.is_own() {
            crate::validate::manifest(&reference, value)
        } else {
            Vec::new()
        };
        let generation = value
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let read = Self::read(kind, value).map(|mut object| {
            if kind.is_namespaced() {
                object.set_namespace(namespace);
            }
            object
        });
        match read {
            Ok(object) if problems.is_empty() => Ok(Some(object)),
            Ok(object) => Ok(Some(Self::Invalid(Box::new(InvalidObject {
                reference,
                generation,
                readable: Some(object),
                problems,
            })))),
            Err(_) if !problems.is_empty() => Ok(Some(Self::Invalid(Box::new(InvalidObject {
                readable: crate::salvage::salvage(&reference, value),
                reference,
                generation,
                problems,
            })))),
            // What our own schema lets through and we cannot read is refused all the same: it
            // must not be as if it were not there.
            Err(source) if kind.is_own() => Ok(Some(Self::Invalid(Box::new(InvalidObject {
                problems: vec![Problem {
                    severity: Severity::Error,
                    code: Code::Invalid,
                    object: reference.to_string(),
                    field: "spec".to_owned(),
                    message: source.to_string(),
                    fix: "correct the field; see `kubectl explain`".to_owned(),
                }],
                readable: crate::salvage::salvage(&reference, value),
                reference,
                generation,
            })))),
            Err(source) => Err(ManifestError::Shape { reference, source }),
        }
    }

    fn read(kind: Kind, value: &Value) -> Result<Self, serde_json::Error> {
        fn boxed<T: serde::de::DeserializeOwned>(
            value: &Value,
        ) -> Result<Box<T>, serde_json::Error> {
            T::deserialize(value).map(Box::new)
        }
        Ok(match kind {
            Kind::Namespace => Self::Namespace(boxed(value)?),
            Kind::Service => Self::Service(boxed(value)?),
            Kind::EndpointSlice => Self::EndpointSlice(boxed(value)?),
            Kind::Pod => Self::Pod(boxed(value)?),
            Kind::ServiceAccount => Self::ServiceAccount(boxed(value)?),
            Kind::Gateway => Self::Gateway(boxed(value)?),
            Kind::VirtualRoute => Self::VirtualRoute(boxed(value)?),
            Kind::MeshPolicy => Self::MeshPolicy(boxed(value)?),
            Kind::AuthPolicy => Self::AuthPolicy(boxed(value)?),
        })
    }

    /// Which object this is.
    pub fn reference(&self) -> ObjectRef {
        let of = |kind, meta: &ObjectMeta| {
            ObjectRef::new(
                kind,
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            )
        };
        match self {
            Self::Namespace(object) => of(Kind::Namespace, object.meta()),
            Self::Service(object) => of(Kind::Service, object.meta()),
            Self::EndpointSlice(object) => of(Kind::EndpointSlice, object.meta()),
            Self::Pod(object) => of(Kind::Pod, object.meta()),
            Self::ServiceAccount(object) => of(Kind::ServiceAccount, object.meta()),
            Self::Gateway(object) => of(Kind::Gateway, &object.metadata),
            Self::VirtualRoute(object) => of(Kind::VirtualRoute, object.meta()),
            Self::MeshPolicy(object) => of(Kind::MeshPolicy, object.meta()),
            Self::AuthPolicy(object) => of(Kind::AuthPolicy, object.meta()),
            Self::Invalid(object) => object.reference.clone(),
        }
    }

    fn set_namespace(&mut self, namespace: &str) {
        let meta = match self {
            Self::Namespace(object) => object.meta_mut(),
            Self::Service(object) => object.meta_mut(),
            Self::EndpointSlice(object) => object.meta_mut(),
            Self::Pod(object) => object.meta_mut(),
            Self::ServiceAccount(object) => object.meta_mut(),
            Self::Gateway(object) => &mut object.metadata,
            Self::VirtualRoute(object) => object.meta_mut(),
            Self::MeshPolicy(object) => object.meta_mut(),
            Self::AuthPolicy(object) => object.meta_mut(),
            Self::Invalid(_) => return,
        };
        meta.namespace = Some(namespace.to_owned());
    }
}

macro_rules! from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Box::new(object))
            }
        }
    )*};
}

from!(
    Namespace,
    Service,
    EndpointSlice,
    Pod,
    ServiceAccount,
    Gateway,
    VirtualRoute,
    MeshPolicy,
    AuthPolicy
);
