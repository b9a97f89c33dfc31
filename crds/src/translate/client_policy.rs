//! MeshPolicy → what clients obey, field by field, so that policies can be merged by field.

use weft_engine::documents::{ClientPolicy, LoadBalancing, Millis, OutlierDetection};

use super::{
    Findings,
    values::{count, millis},
};
use crate::mesh_policy::{Algorithm, MeshPolicySpec};

/// One field that a policy sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientField {
    /// Its path below `spec`.
    pub(crate) path: &'static str,
    value: Value,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Algorithm(LoadBalancing),
    Count(u32, fn(&mut ClientPolicy) -> &mut u32),
    Millis(Millis, fn(&mut ClientPolicy) -> &mut Millis),
    Idle(Millis),
    /// Outlier detection is switched on, by whatever it sets.
    Outlier,
}

impl ClientField {
    /// Puts the value into a policy.
    pub(crate) fn put(&self, policy: &mut ClientPolicy) {
        match self.value {
            Value::Algorithm(algorithm) => policy.load_balancing = Some(algorithm),
            Value::Count(value, place) => *place(policy) = value,
            Value::Millis(value, place) => *place(policy) = value,
            Value::Idle(value) => policy.timeouts.idle = Some(value),
            Value::Outlier => {
                outlier(policy);
            }
        }
    }

    /// Whether two policies that both set it say different things.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        match (self.value, other.value) {
            (Value::Algorithm(a), Value::Algorithm(b)) => a != b,
            (Value::Count(a, _), Value::Count(b, _)) => a != b,
            (Value::Millis(a, _), Value::Millis(b, _)) => a != b,
            (Value::Idle(a), Value::Idle(b)) => a != b,
            _ => false,
        }
    }
}

/// Whether a policy sets anything that clients obey.
pub(crate) fn is_client_side(spec: &MeshPolicySpec) -> bool {
    spec.load_balancing.is_some()
        || spec.connection_pool.is_some()
        || spec.outlier_detection.is_some()
        || spec.retry_budget.is_some()
        || spec.timeouts.is_some()
}

fn outlier(policy: &mut ClientPolicy) -> &mut OutlierDetection {
    policy.outlier_detection.get_or_insert_default()
}

/// The client-side fields that a policy sets, each with its value.
pub(crate) fn client_fields(
    spec: &MeshPolicySpec,
    findings: &mut Findings<'_>,
) -> Vec<ClientField> {
    let mut fields = Vec::new();
    let mut add = |path, value: Option<Value>| {
        if let Some(value) = value {
            fields.push(ClientField { path, value });
        }
    };
    // A count and a duration are read the same way wherever they stand: the path below `spec`,
    // the place in the document.
    macro_rules! count {
        ($section:expr, $field:ident, $path:literal, $place:expr) => {
            add(
                $path,
                $section
                    .and_then(|section| section.$field)
                    .and_then(|value| count(value, concat!("spec.", $path), findings))
                    .map(|value| Value::Count(value, $place)),
            )
        };
    }
    macro_rules! millis {
        ($section:expr, $field:ident, $path:literal, $place:expr) => {
            add(
                $path,
                millis(
                    $section.and_then(|section| section.$field.as_ref()),
                    concat!("spec.", $path),
                    findings,
                )
                .map(|value| Value::Millis(value, $place)),
            )
        };
    }
    add(
        "loadBalancing.algorithm",
        spec.load_balancing
            .as_ref()
            .map(|balancing| Value::Algorithm(algorithm(balancing.algorithm))),
    );

    let pool = spec.connection_pool.as_ref();
    count!(
        pool,
        max_connections,
        "connectionPool.maxConnections",
        |p| { &mut p.connection_pool.max_connections }
    );
    count!(
        pool,
        max_pending_requests,
        "connectionPool.maxPendingRequests",
        |p| &mut p.connection_pool.max_pending_requests
    );
    count!(pool, max_requests, "connectionPool.maxRequests", |p| {
        &mut p.connection_pool.max_requests
    });
    count!(
        pool,
        max_requests_per_connection,
        "connectionPool.maxRequestsPerConnection",
        |p| &mut p.connection_pool.max_requests_per_connection
    );
    millis!(
        pool,
        connect_timeout,
        "connectionPool.connectTimeout",
        |p| { &mut p.connection_pool.connect_timeout }
    );
    millis!(pool, idle_timeout, "connectionPool.idleTimeout", |p| {
        &mut p.connection_pool.idle_timeout
    });
    let keepalive = pool.and_then(|pool| pool.tcp_keepalive.as_ref());
    millis!(keepalive, idle, "connectionPool.tcpKeepalive.idle", |p| {
        &mut p.connection_pool.tcp_keepalive.0
    });
    millis!(
        keepalive,
        interval,
        "connectionPool.tcpKeepalive.interval",
        |p| &mut p.connection_pool.tcp_keepalive.1
    );
    count!(keepalive, count, "connectionPool.tcpKeepalive.count", |p| {
        &mut p.connection_pool.tcp_keepalive.2
    });

    let detection = spec.outlier_detection.as_ref();
    add("outlierDetection", detection.map(|_| Value::Outlier));
    count!(
        detection,
        consecutive_5xx,
        "outlierDetection.consecutive5xx",
        |p| &mut outlier(p).consecutive_5xx
    );
    count!(
        detection,
        consecutive_gateway_errors,
        "outlierDetection.consecutiveGatewayErrors",
        |p| &mut outlier(p).consecutive_gateway_errors
    );
    let rate = detection.and_then(|detection| detection.success_rate.as_ref());
    add(
        "outlierDetection.successRate.minimum",
        rate.and_then(|rate| {
            count(
                rate.minimum,
                "spec.outlierDetection.successRate.minimum",
                findings,
            )
        })
        .map(|value| Value::Count(value, |p| &mut outlier(p).success_rate_minimum)),
    );
    count!(
        rate,
        min_requests,
        "outlierDetection.successRate.minRequests",
        |p| &mut outlier(p).success_rate_min_requests
    );
    millis!(detection, interval, "outlierDetection.interval", |p| {
        &mut outlier(p).interval
    });
    millis!(
        detection,
        base_ejection_time,
        "outlierDetection.baseEjectionTime",
        |p| &mut outlier(p).base_ejection_time
    );
    count!(
        detection,
        max_ejection_percent,
        "outlierDetection.maxEjectionPercent",
        |p| &mut outlier(p).max_ejection_percent
    );

    let budget = spec.retry_budget.as_ref();
    count!(budget, percent, "retryBudget.percent", |p| {
        &mut p.retry_budget.percent
    });
    count!(budget, min_per_second, "retryBudget.minPerSecond", |p| {
        &mut p.retry_budget.min_per_second
    });

    let timeouts = spec.timeouts.as_ref();
    millis!(timeouts, request, "timeouts.request", |p| {
        &mut p.timeouts.request
    });
    add(
        "timeouts.idle",
        millis(
            timeouts.and_then(|timeouts| timeouts.idle.as_ref()),
            "spec.timeouts.idle",
            findings,
        )
        .map(Value::Idle),
    );
    fields
}

fn algorithm(algorithm: Algorithm) -> LoadBalancing {
    match algorithm {
        Algorithm::RoundRobin => LoadBalancing::RoundRobin,
        Algorithm::LeastRequest => LoadBalancing::LeastRequest,
        Algorithm::PeakEwma => LoadBalancing::PeakEwma,
        Algorithm::Random => LoadBalancing::Random,
    }
}
