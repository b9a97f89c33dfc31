//! MeshPolicy → what servers obey.

use std::collections::BTreeMap;

use weft_engine::documents::MtlsMode;

use super::Findings;
use crate::mesh_policy::MeshPolicySpec;

/// The mTLS setting of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MtlsSetting {
    pub(crate) mode: Option<MtlsMode>,
    /// By the pod's own port.
    pub(crate) ports: BTreeMap<u16, MtlsMode>,
}

impl MtlsSetting {
    /// Whether it switches mTLS off somewhere: then it concerns clients too.
    pub(crate) fn disables(&self) -> bool {
        self.mode == Some(MtlsMode::Disabled)
            || self.ports.values().any(|mode| *mode == MtlsMode::Disabled)
    }
}

/// Translates `spec.mtls`.
pub(crate) fn mtls(spec: &MeshPolicySpec, findings: &mut Findings<'_>) -> Option<MtlsSetting> {
    let mtls = spec.mtls.as_ref()?;
    let mut ports = BTreeMap::new();
    for (text, mode) in &mtls.ports {
        match text.parse::<u16>().ok().filter(|port| *port > 0) {
            Some(port) => {
                ports.insert(port, (*mode).into());
            }
            None => findings.invalid(
                format!("spec.mtls.ports[{text}]"),
                format!("`{text}` is no port number"),
                "use the pod's own port in quotes, 1 to 65535",
            ),
        }
    }
    Some(MtlsSetting {
        mode: mtls.mode.map(Into::into),
        ports,
    })
}
