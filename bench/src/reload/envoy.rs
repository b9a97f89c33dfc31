use std::path::Path;

use serde_json::{Value, json};

use super::{SERVICES, Seen, changes, renamed, under_load};
use crate::{
    BenchError,
    footprint::rested_kib,
    hop::{Hop, Kind},
    manifests,
    peers::envoy,
    running::{Core, Running, free, get},
    stage::Stage,
};

/// Measures Envoy that reads its routes from a file.
pub(super) fn measure(stage: &Stage, seconds: u32) -> Result<Seen, BenchError> {
    let room = stage.room("reload-envoy")?;
    let (front, admin) = (free()?, free()?);
    let hop = Hop {
        kind: Kind::Http1,
        listen: front,
        to: vec![stage.backend.plain],
        accept: None,
        connect: None,
    };
    let file = room.join("routes.json");
    put_routes(&file, 0)?;
    let source = json!({"rds": {"route_config_name": "local", "config_source": {
        "resource_api_version": "V3",
        "path_config_source": {"path": file, "watched_directory": {"path": room}},
    }}});
    let mut config = envoy::config(&hop, source);
    config["admin"] = json!({"address": {"socket_address": {
        "address": admin.ip().to_string(), "port_value": admin.port(),
    }}});
    let home = stage.room("reload-envoy-home")?;
    let command = envoy::with_config(&stage.tools, &config, &home, Core::Measured)?;
    let proxy = Running::start("envoy", command, home.join("log"))?;
    proxy.until("does not answer", || {
        matches!(get(front, "changing", "/"), Some((200, _)))
    })?;
    let kib = rested_kib(&[proxy.pid()]);
    let mut seen = Seen {
        idle_kib: kib,
        loaded_kib: kib,
        ..Seen::default()
    };
    let applied = || {
        let text = get(admin, "localhost", "/stats?filter=rds.*config_reload$");
        let text = text.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
        let text = text.unwrap_or_default();
        let counts = text.lines().filter_map(|line| line.rsplit_once(": "));
        counts
            .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
            .sum()
    };
    let mut edition = 0;
    let mut change = || {
        edition += 1;
        put_routes(&file, edition)
    };
    changes(stage, &proxy, seconds, &mut change, &applied, &mut seen)?;
    under_load("changing", front, seconds, &mut change, &mut seen)?;
    Ok(seen)
}

/// A thousand virtual hosts as the operator's routes are, one of which tells the edition.
fn put_routes(file: &Path, edition: u32) -> Result<(), BenchError> {
    let host = |name: String, edition: u32| {
        json!({"name": name, "domains": [name], "routes": [
            {"match": {"prefix": "/", "headers": [{"name": "x-group", "string_match": {"exact": "beta"}}]},
             "route": {"cluster": "origin"}},
            {"match": {"prefix": "/"},
             "route": {"cluster": "origin", "retry_policy": {"retry_on": "connect-failure", "num_retries": 1}},
             "response_headers_to_add": [{"header": {"key": "x-edition", "value": edition.to_string()}}]},
        ]})
    };
    let mut hosts: Vec<Value> = (0..SERVICES)
        .map(|service| {
            host(
                format!(
                    "{}.{}",
                    manifests::name(service),
                    manifests::namespace(service)
                ),
                0,
            )
        })
        .collect();
    hosts.push(host("changing".to_owned(), edition));
    let routes = json!({
        "version_info": edition.to_string(),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "local", "virtual_hosts": hosts,
        }],
    });
    renamed(file, &routes.to_string())
}
