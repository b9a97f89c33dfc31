//! Pod address → who is there.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::ServiceRef;

/// The number of address shards. Fixed: a reader computes the shard from the address. Many and
/// small, for pods come and go: a pod's change rewrites the one shard that its address is in, and
/// of those only proxies hear that called (or asked about) an address of the same shard.
pub const ADDRESS_SHARDS: u16 = 256;

/// `addresses.<shard>`: the pods of the mesh whose address hashes to this shard. What a client
/// needs that dials a pod itself: by its address, or by a name that DNS resolves to it (a headless
/// Service's, a StatefulSet pod's). An address that is in no shard is no pod of the mesh, and is
/// called as it is. A shard without pods has no document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressesDocument {
    /// 0 to 255.
    pub shard: u8,
    /// Pods by address; pods that share their node's address are not among them.
    pub pods: BTreeMap<IpAddr, PodAddress>,
}

/// A pod of the mesh, as one sees it who dials its address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAddress {
    /// The SPIFFE ID that its proxy must prove. This is what makes a stale entry harmless: whoever
    /// has the address meanwhile cannot prove it, and gets nothing.
    pub identity: String,
    /// The pod's own port → the Service port that stands for it: what is spoken, and how it is
    /// called. Where several do, a headless Service comes before others (its clients are those
    /// that dial pods), then the first by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<u16, ServiceRef>,
    /// Ranges of the pod's own ports, both ends included, ascending, on which it takes only
    /// plaintext: mutual TLS is switched off there, or its proxy leaves them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plaintext: Vec<(u16, u16)>,
}

impl AddressesDocument {
    /// The shard that holds `address`: xxh3-64 of its text form, modulo [`ADDRESS_SHARDS`].
    pub fn shard_of(address: IpAddr) -> u8 {
        // The remainder is below 256, so the cast keeps it.
        (xxh3_64(address.to_string().as_bytes()) % u64::from(ADDRESS_SHARDS)) as u8
    }
}

impl PodAddress {
    /// Whether the pod takes only plaintext on its own `port`.
    pub fn takes_only_plaintext(&self, port: u16) -> bool {
        self.plaintext
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&port))
    }
}
