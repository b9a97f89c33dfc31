//! Document names: `mesh`, `index.0a`, `addresses.a0`, `service.<ns>.<name>`,
//! `endpoints.<ns>.<name>[.<shard>]`, `inbound.<ns>`, `gateway.<ns>.<name>`. They are valid ConfigMap names (RFC 1123 subdomains)
//! because namespaces and Service names are DNS labels; a Gateway's name may hold dots, so its
//! namespace comes first and the rest is the name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a document, which is also its ConfigMap's name and its file's stem.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DocumentName {
    /// `mesh`
    Mesh,
    /// `index.<00..0f>`
    Index(u8),
    /// `addresses.<00..ff>`
    Addresses(u8),
    /// `inbound.<ns>`
    Inbound(String),
    /// `service.<ns>.<name>`
    Service(String, String),
    /// `endpoints.<ns>.<name>` for shard 0, `endpoints.<ns>.<name>.<shard>` for the others
    Endpoints(String, String, u32),
    /// `gateway.<ns>.<name>`
    Gateway(String, String),
}

impl DocumentName {
    /// Whether proxies take their time to report it: where pods come and go it changes all the
    /// time, and hardly any status asks for it.
    pub fn is_told_late(&self) -> bool {
        matches!(self, Self::Endpoints(..) | Self::Index(_))
    }
}

/// A string that names no document.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` names no config document; the kinds are mesh, index, addresses, inbound, service, endpoints and gateway"
)]
pub struct NameError(pub String);

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh"),
            Self::Index(shard) => write!(f, "index.{shard:02x}"),
            Self::Addresses(shard) => write!(f, "addresses.{shard:02x}"),
            Self::Inbound(ns) => write!(f, "inbound.{ns}"),
            Self::Service(ns, name) => write!(f, "service.{ns}.{name}"),
            Self::Endpoints(ns, name, 0) => write!(f, "endpoints.{ns}.{name}"),
            Self::Endpoints(ns, name, shard) => write!(f, "endpoints.{ns}.{name}.{shard}"),
            Self::Gateway(ns, name) => write!(f, "gateway.{ns}.{name}"),
        }
    }
}

impl FromStr for DocumentName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let invalid = || NameError(text.to_owned());
        let label = |part: &str| {
            if part.is_empty() || part.contains('.') {
                Err(invalid())
            } else {
                Ok(part.to_owned())
            }
        };
        let (kind, rest) = text.split_once('.').unwrap_or((text, ""));
        // Two lower-case digits and nothing else: a document has one name.
        let shard = || match u8::from_str_radix(rest, 16) {
            Ok(shard) if format!("{shard:02x}") == rest => Ok(shard),
            _ => Err(invalid()),
        };
        let pair = || rest.split_once('.').ok_or_else(invalid);
        match kind {
            "mesh" if text == "mesh" => Ok(Self::Mesh),
            "index" => shard().map(Self::Index),
            "addresses" => shard().map(Self::Addresses),
            "inbound" => Ok(Self::Inbound(label(rest)?)),
            "service" => pair().and_then(|(ns, name)| Ok(Self::Service(label(ns)?, label(name)?))),
            "gateway" => pair().and_then(|(ns, name)| {
                if name.is_empty() {
                    Err(invalid())
                } else {
                    Ok(Self::Gateway(label(ns)?, name.to_owned()))
                }
            }),
            "endpoints" => {
                let (ns, rest) = pair()?;
                let (name, shard) = match rest.split_once('.') {
                    Some((name, shard)) => (
                        name,
                        shard
                            .parse()
                            .ok()
                            .filter(|shard| *shard > 0)
                            .ok_or_else(invalid)?,
                    ),
                    None => (rest, 0),
                };
                Ok(Self::Endpoints(label(ns)?, label(name)?, shard))
            }
            _ => Err(invalid()),
        }
    }
}

impl From<DocumentName> for String {
    fn from(name: DocumentName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for DocumentName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}
