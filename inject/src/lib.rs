//! Puts a proxy beside an application: a pod in, a JSON Patch (RFC 6902) out.
//!
//! Pure: the webhook and `weft inject` ask the same function, so a pod is the same whether it
//! was changed on its way into the cluster or in a file. In flow order:
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

/// What the installation decides, and what it must not collide with.
mod settings;

/// What a pod asks for, by annotation.
mod annotations;

/// The application's probes, through the proxy.
mod probes;

/// The two containers and their volumes.
mod containers;

/// From a pod to its patch.
mod pod;

/// From a manifest of any kind that makes pods, to the same manifest with the proxy in it.
mod manifest;

pub use annotations::names;
pub use manifest::inject_manifest;
pub use pod::inject;
pub use settings::{
    ADMIN_PORT, INBOUND_PORT, METRICS_PORT, OUTBOUND_PORT, PROXY_UID, SELF_CALL_ADDRESS, Settings,
};

use json_patch::Patch;

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It gets a proxy by this patch, relative to the pod (or to the pod template).
    Patched(Patch),
    /// It stays as it is.
    Left(Reason),
}

/// Why a pod stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It carries `weft.dev/inject: disabled`.
    OptedOut,
    /// It uses the host's network, where capturing would capture the whole host's traffic.
    HostNetwork,
    /// It has a proxy already.
    HasProxy,
    /// It does not run Linux.
    NotLinux,
}

impl Reason {
    /// The value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::HostNetwork => "host_network",
            Self::HasProxy => "has_proxy",
            Self::NotLinux => "not_linux",
        }
    }

    /// What its owner should know; `None` where it is what the owner asked for.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::OptedOut | Self::HasProxy => None,
            Self::HostNetwork => Some(
                "the pod uses the host's network: it gets no proxy and stays outside the mesh; annotate it with weft.dev/inject: disabled if that is meant",
            ),
            Self::NotLinux => Some(
                "the pod does not run Linux: it gets no proxy and stays outside the mesh; annotate it with weft.dev/inject: disabled if that is meant",
            ),
        }
    }
}

/// Why a pod cannot have a proxy as it is. The pod is refused: what silently ran outside the
/// mesh would be a surprise of the worst kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// An annotation means nothing.
    #[error("annotation {name}: `{value}` is not {expected}, e.g. `{example}`")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
        /// A value that means something.
        example: &'static str,
    },
    /// A container would escape the capture.
    #[error(
        "{container} runs as uid {PROXY_UID}, which is the proxy's: its traffic would bypass the mesh; choose another runAsUser, or annotate the pod with weft.dev/inject: disabled"
    )]
    ProxyUid {
        /// Which container, or the pod's securityContext.
        container: String,
    },
    /// A name that the proxy's parts need is taken.
    #[error("{kind} {name} is taken: names that begin with `weft-` are the mesh's; rename it")]
    NameTaken {
        /// `volume` or `container`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A port that the proxy needs is taken.
    #[error(
        "container {container} declares port {port}, which is the proxy's; let the application listen elsewhere"
    )]
    PortTaken {
        /// The container.
        container: String,
        /// The port.
        port: u16,
    },
    /// Not what its kind should look like.
    #[error("{0}; see `kubectl explain pod.spec`")]
    Shape(String),
}

#[cfg(test)]
mod tests;
