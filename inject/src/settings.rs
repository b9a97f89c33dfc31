/// Where the application's redirected connections arrive, on loopback.
pub const OUTBOUND_PORT: u16 = 15001;
/// Where redirected connections to the pod arrive.
pub const INBOUND_PORT: u16 = 15006;
/// Metrics, readiness and the application's health, on the pod's address.
pub const METRICS_PORT: u16 = 15020;
/// The admin port, on loopback.
pub const ADMIN_PORT: u16 = 15000;
/// Whom the proxy runs as: what it sends is not captured again.
pub const PROXY_UID: u32 = 1337;
/// The address from which the proxy calls its own pod, so that the capture can tell such a call
/// (which must come in through the proxy as anybody's) from the proxy's delivery to the
/// application.
pub const SELF_CALL_ADDRESS: &str = "127.0.0.6";

/// What the installation decides for every proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The proxy's image; it holds the capture too.
    pub image: String,
    /// `IfNotPresent`, `Always` or `Never`.
    pub image_pull_policy: String,
    /// The namespace of the config documents.
    pub config_namespace: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image: concat!("weft-proxy:", env!("CARGO_PKG_VERSION")).to_owned(),
            image_pull_policy: "IfNotPresent".to_owned(),
            config_namespace: "weft-config".to_owned(),
        }
    }
}
