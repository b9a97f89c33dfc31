//! How a client's proxy behaves towards a service. Defaults are stated here, once; a document
//! holds only what a policy set.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Millis;

/// Client-side settings of a service port, already merged over all policies. `None` means the
/// default that the accessor's documentation states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientPolicy {
    /// Default: PeakEwma for HTTP, LeastRequest (connections) for TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancing: Option<LoadBalancing>,
    /// Bounds of the upstream pool.
    pub connection_pool: ConnectionPool,
    /// Off when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// Bounds retries of all rules together.
    pub retry_budget: RetryBudget,
    /// Where the rule says nothing.
    pub timeouts: Timeouts,
}

/// The balancing algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadBalancing {
    /// In turn.
    RoundRobin,
    /// The less loaded of two random endpoints (power of two choices).
    LeastRequest,
    /// The lower cost of two random endpoints; cost is a peak-sensitive moving average of
    /// latency times outstanding requests, and failures are penalised.
    PeakEwma,
    /// Uniformly.
    Random,
}

/// Bounds of the pool towards one service port, per proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionPool {
    /// Connections to all endpoints together. Default 1024.
    pub max_connections: u32,
    /// Requests that wait for a connection. Default 1024.
    pub max_pending_requests: u32,
    /// Requests under way. Default 4096.
    pub max_requests: u32,
    /// Requests on one connection before it is closed; 0 (the default): no limit.
    pub max_requests_per_connection: u32,
    /// Until a connection (TLS included) stands. Default 1 s.
    pub connect_timeout: Millis,
    /// An unused connection is closed after this. Default 90 s.
    pub idle_timeout: Millis,
    /// When a silent peer is given up. Default: after 15 s.
    pub tcp_keepalive: Keepalive,
}

impl Default for ConnectionPool {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 4096,
            max_requests_per_connection: 0,
            connect_timeout: 1_000,
            idle_timeout: 90_000,
            tcp_keepalive: Keepalive::default(),
        }
    }
}

/// When a silent peer is given up: probes after so many milliseconds of silence, so many
/// milliseconds apart, so many. On HTTP/2 a PING asks what the probes ask. Default 10 s, 1 s, 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepalive(pub Millis, pub Millis, pub u32);

impl Default for Keepalive {
    fn default() -> Self {
        Self(10_000, 1_000, 5)
    }
}

impl Keepalive {
    /// Silence before the first probe; the kernel takes whole seconds from 1 on.
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.0.max(1_000))
    }

    /// Between probes, from 1 s on.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.1.max(1_000))
    }

    /// Probes, 1 to 127.
    pub fn count(&self) -> u32 {
        self.2.clamp(1, 127)
    }

    /// From the first probe to giving up.
    pub fn unanswered(&self) -> Duration {
        self.interval().saturating_mul(self.count())
    }

    /// From the last sign of the peer to giving up.
    pub fn vanished_after(&self) -> Duration {
        self.idle().saturating_add(self.unanswered())
    }
}

/// When an endpoint is taken out of the balancing, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutlierDetection {
    /// Responses of 5xx in a row; 0 disables. Default 5.
    pub consecutive_5xx: u32,
    /// 502, 503, 504, resets and failed connects in a row; 0 disables. Default 5.
    pub consecutive_gateway_errors: u32,
    /// Success rate in percent below which an endpoint is ejected at the interval's end; 0 (the
    /// default) disables.
    pub success_rate_minimum: u32,
    /// Requests that an interval must have seen for the success rate to count. Default 100.
    pub success_rate_min_requests: u32,
    /// Default 10 s.
    pub interval: Millis,
    /// The first ejection lasts this long, the n-th n times as long. Default 30 s.
    pub base_ejection_time: Millis,
    /// At most this share of the endpoints is ejected at once (at least one may be). Default 50.
    pub max_ejection_percent: u32,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_gateway_errors: 5,
            success_rate_minimum: 0,
            success_rate_min_requests: 100,
            interval: 10_000,
            base_ejection_time: 30_000,
            max_ejection_percent: 50,
        }
    }
}

/// How many retries may be added to the traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryBudget {
    /// Retries as a share of requests over the last 10 s. Default 20.
    pub percent: u32,
    /// Retries per second that are always allowed. Default 10.
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            min_per_second: 10,
        }
    }
}

/// Time-outs of a service port; 0 disables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// The whole request with all its attempts. Default: none (0), as Gateway API has it.
    pub request: Millis,
    /// No byte in either direction. Default 1 h for TCP and upgraded connections, 5 min between
    /// the frames of an HTTP exchange; `None` means those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Millis>,
}
