use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    BenchError,
    hop::{Hop, Kind},
    peers::write,
    pki::NAME,
    running::Core,
    tools::Tools,
};

pub(crate) fn command(
    tools: &Tools,
    hop: &Hop,
    folder: &Path,
    core: Core,
) -> Result<Command, BenchError> {
    let routes = json!({"name": "local", "virtual_hosts": [{
        "name": "all", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}],
    }]});
    with_config(tools, &config(hop, routes_inline(routes)), folder, core)
}

/// Starts from a whole configuration.
pub(crate) fn with_config(
    tools: &Tools,
    config: &Value,
    folder: &Path,
    core: Core,
) -> Result<Command, BenchError> {
    let config = write(folder, "envoy.json", &config.to_string())?;
    let mut command = core.pinned(&tools.envoy()?);
    command.arg("-c").arg(config);
    command.args(["--concurrency", "1", "--log-level", "warning"]);
    command.args(["--disable-hot-restart"]);
    Ok(command)
}

/// Routes within the configuration.
fn routes_inline(routes: Value) -> Value {
    json!({"route_config": routes})
}

/// `routes`: the field of the connection manager that says where routes come from.
pub(crate) fn config(hop: &Hop, routes: Value) -> Value {
    let filter = if hop.kind == Kind::Tcp {
        json!({
            "name": "tcp",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "bench", "cluster": "origin",
            },
        })
    } else {
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "http_filters": [{
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
            }],
        });
        if hop.kind == Kind::WebSocket {
            manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
        }
        merge(&mut manager, routes);
        json!({"name": "http", "typed_config": manager})
    };
    let mut chain = json!({"filters": [filter]});
    if let Some(folder) = &hop.accept {
        let mutual = folder.join("ca.crt").exists();
        let mut context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": mutual,
            "common_tls_context": common(folder, hop.kind, false),
        });
        merge(
            &mut context,
            json!({"disable_stateless_session_resumption": false}),
        );
        chain["transport_socket"] = json!({"name": "tls", "typed_config": context});
    }
    let mut cluster = json!({
        "name": "origin", "type": "STATIC", "connect_timeout": "5s",
        "lb_policy": if hop.to.len() > 1 { "LEAST_REQUEST" } else { "ROUND_ROBIN" },
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints":
            hop.to.iter().map(|to| json!({"endpoint": {"address": address(*to)}})).collect::<Vec<_>>(),
        }]},
        // Of requests the default of 1024 is enough; connections are kept to every endpoint.
        "circuit_breakers": {"thresholds": [{"max_connections": 8192}]},
    });
    if hop.kind == Kind::Http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        });
    }
    if let Some(folder) = &hop.connect {
        cluster["transport_socket"] = json!({"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": NAME,
            "common_tls_context": common(folder, hop.kind, true),
        }});
    }
    json!({
        "static_resources": {
            "listeners": [{
                "name": "front", "address": address(hop.listen), "filter_chains": [chain],
            }],
            "clusters": [cluster],
        },
        "node": {"id": "bench", "cluster": "bench"},
    })
}

fn common(folder: &Path, kind: Kind, verify_name: bool) -> Value {
    let file = |name: &str| json!({"filename": folder.join(name)});
    let mut context = json!({
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
        },
    });
    if folder.join("tls.crt").exists() {
        context["tls_certificates"] =
            json!([{"certificate_chain": file("tls.crt"), "private_key": file("tls.key")}]);
    }
    if folder.join("ca.crt").exists() {
        let mut validation = json!({"trusted_ca": file("ca.crt")});
        if verify_name {
            validation["match_typed_subject_alt_names"] =
                json!([{"san_type": "DNS", "matcher": {"exact": NAME}}]);
        }
        context["validation_context"] = validation;
    }
    if kind == Kind::Http2 {
        context["alpn_protocols"] = json!(["h2"]);
    }
    context
}

fn address(address: std::net::SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
