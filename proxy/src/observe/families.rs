//! Every metric by name, with its labels. Prometheus's text form appends `_total` to counters.

use super::{Family, Kind};

macro_rules! family {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $metric:literal, $help:literal, [$($label:literal),*]) => {
        $(#[$doc])*
        pub static $name: Family = Family {
            kind: Kind::$kind,
            name: $metric,
            help: $help,
            labels: &[$($label),*],
        };
    };
}

family!(
    /// One per request, when its response has ended.
    REQUESTS, Counter, "weft_requests", "Requests by outcome",
    ["direction", "source_workload", "source_namespace", "source_principal",
     "destination_service", "destination_namespace", "protocol", "response_code",
     "grpc_status", "response_flag", "route", "mtls"]
);
family!(
    /// Seconds from the request's head to the response's end.
    REQUEST_DURATION, Histogram, "weft_request_duration_seconds",
    "Time from the request's head to the response's end",
    ["direction", "source_namespace", "source_workload", "destination_service",
     "destination_namespace", "protocol", "response_code", "route"]
);
family!(
    /// Bytes of request bodies.
    REQUEST_BYTES, Counter, "weft_request_bytes", "Bytes of request bodies",
    ["direction", "destination_service", "destination_namespace"]
);
family!(
    /// Bytes of response bodies.
    RESPONSE_BYTES, Counter, "weft_response_bytes", "Bytes of response bodies",
    ["direction", "destination_service", "destination_namespace"]
);
family!(
    /// Requests under way.
    REQUESTS_ACTIVE, Gauge, "weft_requests_active", "Requests under way", ["direction"]
);
family!(
    /// Attempts beyond the first; `result`: `success`, `failure`, `budget_exhausted`.
    RETRIES, Counter, "weft_retries", "Retries by result",
    ["destination_service", "destination_namespace", "route", "result"]
);
family!(
    /// One per policy that had a say.
    AUTHZ_DECISIONS, Counter, "weft_authz_decisions", "Authorization decisions by policy",
    ["policy", "rule", "decision", "mode"]
);
family!(
    /// Endpoints that are ejected now.
    OUTLIER_EJECTIONS, Gauge, "weft_outlier_ejections", "Endpoints ejected now",
    ["destination_service", "destination_namespace", "port"]
);
family!(
    /// Ejections since the start.
    OUTLIER_EJECTIONS_STARTED, Counter, "weft_outlier_ejections_started",
    "Ejections of endpoints since the start",
    ["destination_service", "destination_namespace", "port", "reason"]
);
family!(
    /// Connections to endpoints; `result`: `success` or a response flag.
    UPSTREAM_CONNECTS, Counter, "weft_upstream_connects", "Connection attempts to endpoints",
    ["destination_service", "destination_namespace", "result"]
);
family!(
    /// Requests and connections refused because a bound of the pool was reached.
    UPSTREAM_OVERFLOWS, Counter, "weft_upstream_overflows",
    "Refusals because a bound of the connection pool was reached",
    ["destination_service", "destination_namespace", "bound"]
);
family!(
    /// TCP connections handed on.
    TCP_OPENED, Counter, "weft_tcp_connections_opened", "TCP connections opened",
    ["direction", "source_namespace", "source_workload", "destination_service",
     "destination_namespace", "mtls"]
);
family!(
    /// TCP connections that ended; the flag says how.
    TCP_CLOSED, Counter, "weft_tcp_connections_closed", "TCP connections closed",
    ["direction", "source_namespace", "source_workload", "destination_service",
     "destination_namespace", "mtls", "response_flag"]
);
family!(
    /// Bytes towards the server.
    TCP_SENT, Counter, "weft_tcp_sent_bytes", "Bytes sent towards the server",
    ["direction", "destination_service", "destination_namespace"]
);
family!(
    /// Bytes towards the client.
    TCP_RECEIVED, Counter, "weft_tcp_received_bytes", "Bytes sent towards the client",
    ["direction", "destination_service", "destination_namespace"]
);
family!(
    /// Accepted connections that are open.
    CONNECTIONS_ACTIVE, Gauge, "weft_connections_active", "Accepted connections that are open",
    ["direction"]
);
family!(
    /// Connections closed before a protocol took over, and why.
    CONNECTIONS_REFUSED, Counter, "weft_connections_refused",
    "Accepted connections closed before a protocol took over",
    ["direction", "reason"]
);
family!(
    /// Failures of accept(2) itself.
    ACCEPT_ERRORS, Counter, "weft_accept_errors", "Failures of accept", ["direction", "error"]
);
family!(
    /// What the protocol detection found; `timeout`: nothing came in time.
    PROTOCOL_DETECTIONS, Counter, "weft_protocol_detections", "Results of protocol detection",
    ["direction", "result"]
);
family!(
    /// Mesh TLS handshakes.
    TLS_HANDSHAKES, Counter, "weft_tls_handshakes", "Mesh TLS handshakes",
    ["direction", "result"]
);
family!(
    /// The active documents; always 1.
    CONFIG_INFO, Gauge, "weft_config_info", "Active config documents by digest",
    ["document", "digest"]
);
family!(
    /// Documents taken in; `result`: `loaded`, `withdrawn`, `rejected`.
    CONFIG_RELOADS, Counter, "weft_config_reloads", "Config documents taken in by result",
    ["result"]
);
family!(
    /// Problems of the active documents (their parts fail closed); only of those that have some.
    CONFIG_PROBLEMS, Gauge, "weft_config_problems", "Problems in the active config documents",
    ["document"]
);
family!(
    /// When the active certificate ends, in seconds since 1970.
    CERT_EXPIRY, Gauge, "weft_cert_expiry_timestamp_seconds",
    "When the active certificate expires, in seconds since 1970", []
);
family!(
    /// Identity reloads; `result`: `loaded`, `rejected`.
    IDENTITY_RELOADS, Counter, "weft_identity_reloads", "Identity reloads by result", ["result"]
);
family!(
    /// Reports to the operator of what is active; `result`: `taken`, `failed`.
    REPORTS, Counter, "weft_config_reports", "Reports to the operator of what is active by result",
    ["result"]
);
family!(
    /// Access log lines that were dropped because the queue was full.
    ACCESS_LOG_DROPPED, Counter, "weft_access_log_dropped", "Access log lines dropped", []
);
family!(
    /// Series that were counted under `other` because a family was full.
    SERIES_OVERFLOWS, Counter, "weft_metric_series_overflows",
    "Look-ups that were counted under `other` because the metric was full", ["metric"]
);
