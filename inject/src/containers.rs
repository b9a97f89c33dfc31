use serde_json::{Map, Value, json};

use crate::{
    ADMIN_PORT, INBOUND_PORT, METRICS_PORT, OUTBOUND_PORT, PROXY_UID, Settings, annotations::Wishes,
};

/// The init container that sets the capture up and ends.
pub(crate) const INIT: &str = "weft-init";
/// The native sidecar.
pub(crate) const PROXY: &str = "weft-proxy";

const IDENTITY: &str = "weft-identity";
const STATE: &str = "weft-state";
const TOKEN: &str = "weft-token";
const POD: &str = "weft-pod";

/// The volumes' names.
pub(crate) const VOLUMES: [&str; 4] = [IDENTITY, STATE, TOKEN, POD];

/// Sets the capture up. Root with one capability: a capability that a container adds is not
/// effective for another user.
pub(crate) fn init(settings: &Settings, wishes: &Wishes) -> Value {
    let mut args = vec![
        "capture".to_owned(),
        format!("--outbound-port={OUTBOUND_PORT}"),
        format!("--inbound-port={INBOUND_PORT}"),
        format!("--proxy-uid={PROXY_UID}"),
        format!(
            "--exclude-inbound-ports={}",
            std::iter::once(METRICS_PORT.to_string())
                .chain(wishes.exclude_inbound_ports.iter().cloned())
                .collect::<Vec<_>>()
                .join(",")
        ),
    ];
    let lists = [
        ("exclude-outbound-ports", &wishes.exclude_outbound_ports),
        ("exclude-outbound-cidrs", &wishes.exclude_outbound_cidrs),
        ("exclude-uids", &wishes.exclude_uids),
    ];
    for (flag, entries) in lists {
        if !entries.is_empty() {
            args.push(format!("--{flag}={}", entries.join(",")));
        }
    }
    json!({
        "name": INIT,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": args,
        "resources": {
            "requests": {"cpu": "1m", "memory": "8Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    })
}

/// The native sidecar (an init container that is always restarted): the application's containers
/// start when its startup probe succeeds and are stopped before it, and a Job ends without it.
pub(crate) fn proxy(
    settings: &Settings,
    wishes: &Wishes,
    probes: &Map<String, Value>,
    grace_seconds: i64,
) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}});
    let mut env = vec![
        field("WEFT_NAMESPACE", "metadata.namespace"),
        field("WEFT_SERVICE_ACCOUNT", "spec.serviceAccountName"),
        field("WEFT_POD", "metadata.name"),
        field("WEFT_POD_IP", "status.podIP"),
    ];
    if !probes.is_empty() {
        env.push(json!({"name": "WEFT_PROBES", "value": json!(probes).to_string()}));
    }
    // The sidecar is stopped after the application, within the same grace period: what is left
    // open then is cut before the kubelet kills.
    let drain = grace_seconds.saturating_sub(5).clamp(1, 3600);
    let mut limits = json!({"memory": wishes.memory_limit});
    if let (Some(cpu), Some(limits)) = (&wishes.cpu_limit, limits.as_object_mut()) {
        limits.insert("cpu".to_owned(), json!(cpu));
    }
    let ready = json!({"path": "/ready", "port": METRICS_PORT, "scheme": "HTTP"});
    json!({
        "name": PROXY,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "restartPolicy": "Always",
        "args": [
            "--config-api",
            format!("--config-namespace={}", settings.config_namespace),
            "--identity-dir=/var/run/secrets/weft.dev/identity",
            "--labels-file=/etc/weft/pod/labels",
            "--state-dir=/var/lib/weft",
            format!("--outbound=127.0.0.1:{OUTBOUND_PORT}"),
            format!("--inbound=0.0.0.0:{INBOUND_PORT}"),
            format!("--metrics=0.0.0.0:{METRICS_PORT}"),
            format!("--admin=127.0.0.1:{ADMIN_PORT}"),
            format!("--workers={}", wishes.workers),
            format!("--drain-timeout={drain}s"),
            format!("--access-log={}", wishes.access_log),
        ],
        "env": env,
        "ports": [{"name": "weft-metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}],
        // The identity may be seconds away for an account that is as new as the pod.
        "startupProbe": {"httpGet": ready, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 600},
        "readinessProbe": {"httpGet": ready, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        "resources": {
            "requests": {"cpu": wishes.cpu, "memory": wishes.memory},
            "limits": limits,
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": PROXY_UID,
            "runAsNonRoot": true,
            "runAsUser": PROXY_UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": IDENTITY, "mountPath": "/var/run/secrets/weft.dev/identity", "readOnly": true},
            {"name": STATE, "mountPath": "/var/lib/weft"},
            // The usual path: the API server mounts no second token where one is.
            {"name": TOKEN, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true},
            {"name": POD, "mountPath": "/etc/weft/pod", "readOnly": true},
        ],
    })
}

/// What the proxy mounts. The application mounts none of it: its key is the proxy's alone.
pub(crate) fn volumes(service_account: &str) -> [Value; 4] {
    [
        // Not optional: the pod waits until its identity is issued.
        json!({"name": IDENTITY, "secret": {"secretName": format!("weft-identity-{service_account}")}}),
        json!({"name": STATE, "emptyDir": {"sizeLimit": "64Mi"}}),
        json!({"name": TOKEN, "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}}),
        json!({"name": POD, "downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}},
        ]}}),
    ]
}
