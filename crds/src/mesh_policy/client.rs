//! What clients obey when they call a service.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// The balancing algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// In turn.
    RoundRobin,
    /// The less loaded of two random endpoints.
    LeastRequest,
    /// The lower latency-times-load of two random endpoints; failures are penalised.
    PeakEwma,
    /// Uniformly.
    Random,
}

/// How clients choose an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancing {
    /// `RoundRobin`, `LeastRequest` (the less loaded of two), `PeakEwma` (the lower
    /// latency times load of two; failures are penalised) or `Random`. Default: PeakEwma for
    /// HTTP, LeastRequest for TCP.
    pub algorithm: Algorithm,
}

/// Bounds of one proxy's connections to a service port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.maxConnections) || self.maxConnections >= 1",
        "connectionPool.maxConnections: nothing could be sent; use 1 or more"),
    validation = ("!has(self.maxRequests) || self.maxRequests >= 1",
        "connectionPool.maxRequests: nothing could be sent; use 1 or more"),
    validation = ("(!has(self.maxPendingRequests) || self.maxPendingRequests >= 0) && (!has(self.maxRequestsPerConnection) || self.maxRequestsPerConnection >= 0)",
        "connectionPool: a bound cannot be negative; use 0 or more (maxRequestsPerConnection 0: no limit)"),
    validation = ("!has(self.connectTimeout) || duration(self.connectTimeout) > duration('0s')",
        "connectionPool.connectTimeout: without time nothing connects; use more than 0, such as 1s"),
)]
pub struct ConnectionPool {
    /// Connections to all endpoints together, per proxy. Default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<i32>,
    /// Requests that wait for a connection, per proxy; more are answered with 503. Default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<i32>,
    /// Requests under way, per proxy; more are answered with 503. Default 4096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<i32>,
    /// Requests on one connection before it is closed. Default 0: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests_per_connection: Option<i32>,
    /// Until a connection stands, TLS included. Gateway API duration. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// An unused connection is closed after this. Gateway API duration. Default 90s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// When a silent endpoint is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<TcpKeepalive>,
}

/// When a silent endpoint is given up, because its node vanished: `idle` plus `count` times
/// `interval` after the last sign of it, by default 15s. TCP keepalive probes ask it, and on HTTP/2
/// with requests under way a PING. Bytes that nothing acknowledges for as long end a connection as
/// well; a peer that is there and reads slowly does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(!has(self.idle) || duration(self.idle) >= duration('1s')) && (!has(self.interval) || duration(self.interval) >= duration('1s'))",
        "tcpKeepalive: the kernel counts in whole seconds; use 1s or more for idle and interval"),
    validation = ("!has(self.count) || (self.count >= 1 && self.count <= 127)",
        "tcpKeepalive.count: out of the kernel's range; use 1 to 127"),
)]
pub struct TcpKeepalive {
    /// Silence before the first probe. Gateway API duration. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// Between probes. Gateway API duration. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Unanswered probes before the connection is dead, 1 to 127. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
}

/// When an endpoint is taken out of the balancing, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.maxEjectionPercent) || (self.maxEjectionPercent >= 0 && self.maxEjectionPercent <= 100)",
        "outlierDetection.maxEjectionPercent: not a percentage; use 0 to 100"),
    validation = ("(!has(self.consecutive5xx) || self.consecutive5xx >= 0) && (!has(self.consecutiveGatewayErrors) || self.consecutiveGatewayErrors >= 0)",
        "outlierDetection: a count of errors cannot be negative; use 0 to disable, or 1 or more"),
    validation = ("!has(self.interval) || duration(self.interval) > duration('0s')",
        "outlierDetection.interval: must be more than 0; use a duration such as 10s"),
    validation = ("!has(self.baseEjectionTime) || duration(self.baseEjectionTime) > duration('0s')",
        "outlierDetection.baseEjectionTime: must be more than 0; use a duration such as 30s"),
    validation = ("!has(self.consecutive5xx) || self.consecutive5xx > 0 || !has(self.consecutiveGatewayErrors) || self.consecutiveGatewayErrors > 0 || has(self.successRate)",
        "outlierDetection: every detector is switched off; set one of them, or remove outlierDetection"),
)]
pub struct OutlierDetection {
    /// Responses of 5xx in a row that eject an endpoint; 0 disables. Default 5.
    #[serde(
        rename = "consecutive5xx",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub consecutive_5xx: Option<i32>,
    /// 502, 503, 504, resets and failed connects in a row that eject it; 0 disables. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<i32>,
    /// Ejects at the interval's end by the share of successes. Default: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<SuccessRate>,
    /// How often the success rate is looked at. Gateway API duration. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The first ejection lasts this long, the n-th n times as long. Gateway API duration.
    /// Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Duration>,
    /// At most this share of the endpoints is ejected at once, in percent (at least one may
    /// be). 0 to 100. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<i32>,
}

/// Ejection by the share of successes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.minimum >= 1 && self.minimum <= 100",
        "outlierDetection.successRate.minimum: not a percentage of successes; use 1 to 100, or remove successRate"),
    validation = ("!has(self.minRequests) || self.minRequests >= 1",
        "outlierDetection.successRate.minRequests: a rate needs requests; use 1 or more"),
)]
pub struct SuccessRate {
    /// Below this share of successes an endpoint is ejected, in percent. 1 to 100.
    pub minimum: i32,
    /// Requests that an interval must have seen for the rate to count. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<i32>,
}

/// How many retries may be added to the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.percent) || (self.percent >= 0 && self.percent <= 100)",
        "retryBudget.percent: not a percentage; use 0 to 100"),
    validation = ("!has(self.minPerSecond) || (self.minPerSecond >= 0 && self.minPerSecond <= 10000)",
        "retryBudget.minPerSecond: out of range; use 0 to 10000"),
)]
pub struct RetryBudget {
    /// Retries as a share of the requests of the last 10 s, in percent. 0 to 100. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// Retries per second that are always allowed. 0 to 10000. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_per_second: Option<i32>,
}

/// Time-outs where a route's rule sets none; `0s` disables one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.request) || has(self.idle)",
        "timeouts: says nothing when empty; give request or idle, or remove timeouts"),
)]
pub struct Timeouts {
    /// The whole request with all its attempts. Gateway API duration. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// No byte in either direction. Gateway API duration. Default: 5m between the frames of an
    /// HTTP exchange, 1h for TCP and upgraded connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}
