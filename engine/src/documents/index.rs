//! ClusterIP → service.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::ServiceRef;

/// The number of index shards. Fixed: a reader computes the shard from the address.
pub const INDEX_SHARDS: u8 = 16;

/// `index.<shard>`: the services whose ClusterIP hashes to this shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IndexDocument {
    /// 0 to 15.
    pub shard: u8,
    /// Service by ClusterIP. The reference's port is 0: every port is meant.
    pub services: BTreeMap<IpAddr, ServiceRef>,
}

impl IndexDocument {
    /// The shard that holds `address`: xxh3-64 of its text form, modulo [`INDEX_SHARDS`].
    pub fn shard_of(address: IpAddr) -> u8 {
        // The remainder is below 16, so the cast keeps it.
        (xxh3_64(address.to_string().as_bytes()) % u64::from(INDEX_SHARDS)) as u8
    }
}
