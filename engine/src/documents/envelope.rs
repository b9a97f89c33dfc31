//! The envelope that every document travels in.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Value, value::RawValue};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    AddressesDocument, EndpointsDocument, GatewayDocument, InboundDocument, IndexDocument,
    MeshDocument, ServiceDocument,
};

/// The version that this build writes.
pub const VERSION: &str = "weft.dev/config/v1";

/// One document of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "spec")]
#[expect(
    clippy::large_enum_variant,
    reason = "a document is read once and taken apart at once; a box would be one more allocation"
)]
pub enum Document {
    /// Mesh-wide settings: trust, defaults, mesh-wide authorization.
    Mesh(MeshDocument),
    /// A shard of ClusterIP → service.
    Index(IndexDocument),
    /// A shard of pod address → who is there.
    Addresses(AddressesDocument),
    /// A service as its clients see it.
    Service(ServiceDocument),
    /// The addresses behind a service.
    Endpoints(EndpointsDocument),
    /// The server-side policies of a namespace.
    Inbound(InboundDocument),
    /// A gateway's listeners and routes.
    Gateway(GatewayDocument),
}

/// A document with its version and digest, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Always [`VERSION`] when written by this build.
    pub api_version: String,
    /// Digest of the document, see [`Document::digest`].
    pub digest: String,
    /// The document itself.
    #[serde(flatten)]
    pub document: Document,
}

impl<'de> Deserialize<'de> for Envelope {
    /// By hand, because a derived `flatten` reads the document out of serde's own buffer, and
    /// from there a map's key `"9080"` can no longer become a port.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stored {
            api_version: String,
            digest: String,
            kind: String,
            spec: Value,
        }
        let stored = Stored::deserialize(deserializer)?;
        Ok(Self {
            api_version: stored.api_version,
            digest: stored.digest,
            document: Document::read(&stored.kind, stored.spec).map_err(D::Error::custom)?,
        })
    }
}

/// Why stored bytes are not a document.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The bytes are not the JSON of a document.
    #[error(
        "the document is not valid JSON of {VERSION}: {0}; it was written by hand or cut short, delete it and the operator writes it again"
    )]
    Json(#[from] serde_json::Error),
    /// A version that this build does not know how to read.
    #[error("the document has version `{found}`, this build reads {VERSION}; upgrade the proxy")]
    Version {
        /// The version that was found.
        found: String,
    },
    /// The stored digest is not the digest of the content.
    #[error(
        "the document's digest is {found}, its content has {expected}; it was edited by hand or cut short, delete it and the operator writes it again"
    )]
    Digest {
        /// The digest in the envelope.
        found: String,
        /// The digest of the content.
        expected: String,
    },
}

// By hand: serde's own code for a tagged enum buffers the content in a form in which a map key
// of JSON is a string for good, and every map keyed by port would be refused.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Tagged {
            kind: String,
            spec: Value,
        }
        let Tagged { kind, spec } = Tagged::deserialize(deserializer)?;
        Self::read(&kind, spec).map_err(D::Error::custom)
    }
}

impl Document {
    fn read<'de, D: Deserializer<'de>>(kind: &str, spec: D) -> Result<Self, D::Error> {
        const KINDS: &[&str] = &[
            "Mesh",
            "Index",
            "Addresses",
            "Service",
            "Endpoints",
            "Inbound",
            "Gateway",
        ];
        Ok(match kind {
            "Mesh" => Self::Mesh(Deserialize::deserialize(spec)?),
            "Index" => Self::Index(Deserialize::deserialize(spec)?),
            "Addresses" => Self::Addresses(Deserialize::deserialize(spec)?),
            "Service" => Self::Service(Deserialize::deserialize(spec)?),
            "Endpoints" => Self::Endpoints(Deserialize::deserialize(spec)?),
            "Inbound" => Self::Inbound(Deserialize::deserialize(spec)?),
            "Gateway" => Self::Gateway(Deserialize::deserialize(spec)?),
            other => return Err(D::Error::unknown_variant(other, KINDS)),
        })
    }

    /// The digest of the content: xxh3-128 in hex over its canonical JSON (maps are ordered,
    /// so equal documents have equal bytes).
    pub fn digest(&self) -> String {
        // Serialising these types to memory cannot fail: no map has a non-string key and no
        // Serialize impl here returns an error. An empty input would still give a digest.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        format!("{:032x}", xxh3_128(&bytes))
    }
}

impl Envelope {
    /// Seals a document.
    pub fn seal(document: Document) -> Self {
        Self {
            api_version: VERSION.to_owned(),
            digest: document.digest(),
            document,
        }
    }

    /// The bytes to store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads stored bytes and checks version and digest.
    pub fn from_json(text: &str) -> Result<Self, EnvelopeError> {
        Self::open(text).map(|(envelope, _)| envelope)
    }

    /// As [`Self::from_json`], and gives the paths of the fields that this build does not know,
    /// at most 16.
    ///
    /// A newer writer's digest covers bytes that this build cannot reproduce, so a digest that
    /// does not fit is only an error where there are no unknown fields. One that fits leaves
    /// none to look for.
    pub fn open(text: &str) -> Result<(Self, Vec<String>), EnvelopeError> {
        let envelope = Self::parse(text)?;
        if !envelope.api_version.starts_with("weft.dev/config/v") {
            return Err(EnvelopeError::Version {
                found: envelope.api_version,
            });
        }
        let expected = envelope.document.digest();
        if envelope.digest == expected {
            return Ok((envelope, Vec::new()));
        }
        let unknown = envelope.unknown_fields(text);
        if unknown.is_empty() {
            return Err(EnvelopeError::Digest {
                found: envelope.digest,
                expected,
            });
        }
        Ok((envelope, unknown))
    }

    /// Straight from the text: the way over [`Value`] would build, and free, a tree several
    /// times its size for each document.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stored<'t> {
            api_version: String,
            digest: String,
            kind: String,
            #[serde(borrow)]
            spec: &'t RawValue,
        }
        let stored: Stored<'_> = serde_json::from_str(text)?;
        Ok(Self {
            api_version: stored.api_version,
            digest: stored.digest,
            document: Document::read(
                &stored.kind,
                &mut serde_json::Deserializer::from_str(stored.spec.get()),
            )?,
        })
    }

    /// Paths of the fields in `text` that this build does not know, at most 16.
    pub fn unknown_fields(&self, text: &str) -> Vec<String> {
        let Ok(stored) = serde_json::from_str::<serde_json::Value>(text) else {
            return Vec::new();
        };
        let Ok(known) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let mut paths = Vec::new();
        collect_unknown(&stored, &known, String::new(), &mut paths);
        paths
    }
}

fn collect_unknown(
    stored: &serde_json::Value,
    known: &serde_json::Value,
    path: String,
    paths: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Object};
    if paths.len() >= 16 {
        return;
    }
    match (stored, known) {
        (Object(stored), Object(known)) => {
            for (key, value) in stored {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => collect_unknown(value, known, path, paths),
                    None => paths.push(path),
                }
            }
        }
        (Array(stored), Array(known)) => {
            for (i, (stored, known)) in stored.iter().zip(known).enumerate() {
                collect_unknown(stored, known, format!("{path}[{i}]"), paths);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
