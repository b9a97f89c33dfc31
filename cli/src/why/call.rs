use std::{collections::BTreeMap, net::SocketAddr};

use weft_crds::{Object, corpus::Scene};
use weft_engine::{
    documents::{Document, DocumentName},
    identity::Workload,
    journey::{Call, HttpCall},
};

use crate::{command::Why, exit::Failure};

/// The call that the command line describes.
pub(super) fn from_arguments(arguments: &Why, scene: &Scene) -> Result<Call, Failure> {
    let pod: Option<SocketAddr> = arguments.destination.parse().ok();
    let gateway = arguments.destination.strip_prefix("gateway:");
    if let Some(pod) = pod {
        return Ok(Call {
            source: source(arguments, scene)?,
            source_address: arguments.source_address,
            address: Some(pod.ip()),
            port: pod.port(),
            http: http(arguments)?,
            ..Call::default()
        });
    }
    let (name, port) = split_port(gateway.unwrap_or(&arguments.destination))?;
    if !is_pair(name) {
        return Err(Failure::Argument(format!(
            "`{name}` names no destination; write namespace/service[:port], gateway:namespace/name[:port] or a pod's address:port"
        )));
    }
    let port = match port {
        Some(port) => port,
        None => only_port(scene, name, gateway.is_some())?,
    };
    Ok(Call {
        source: source(arguments, scene)?,
        source_address: arguments.source_address,
        service: match gateway {
            Some(_) => String::new(),
            None => name.to_owned(),
        },
        port,
        gateway: gateway.map(|_| name.to_owned()),
        http: http(arguments)?,
        ..Call::default()
    })
}

fn http(arguments: &Why) -> Result<Option<HttpCall>, Failure> {
    let (Some(method), Some(path)) = (&arguments.method, &arguments.path) else {
        return Ok(None);
    };
    Ok(Some(HttpCall {
        method: method.clone(),
        authority: arguments.host.clone().unwrap_or_default(),
        path: path.clone(),
        headers: arguments
            .headers
            .iter()
            .map(|header| pair(header, "--header", "name=value"))
            .collect::<Result<_, _>>()?,
    }))
}

fn source(arguments: &Why, scene: &Scene) -> Result<Option<Workload>, Failure> {
    if arguments.source == "-" {
        return Ok(None);
    }
    let Some((namespace, service_account)) = arguments
        .source
        .split_once('/')
        .filter(|_| is_pair(&arguments.source))
    else {
        return Err(Failure::Argument(format!(
            "`{}` names no caller; write namespace/service-account, or - for a client without a proxy",
            arguments.source
        )));
    };
    let labels = if arguments.labels.is_empty() {
        labels_of(scene, namespace, service_account)
    } else {
        arguments
            .labels
            .iter()
            .map(|label| pair(label, "--label", "key=value"))
            .collect::<Result<_, _>>()?
    };
    Ok(Some(Workload {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        pod: String::new(),
        labels,
    }))
}

/// The labels of the first pod that runs under the service account.
fn labels_of(scene: &Scene, namespace: &str, account: &str) -> BTreeMap<String, String> {
    scene
        .objects
        .iter()
        .filter_map(|(object, _)| match object {
            Object::Pod(pod) => Some(pod),
            _ => None,
        })
        .find(|pod| {
            let spec = pod.spec.as_ref();
            let own = spec.and_then(|spec| spec.service_account_name.as_deref());
            pod.metadata.namespace.as_deref() == Some(namespace)
                && own.unwrap_or("default") == account
        })
        .and_then(|pod| pod.metadata.labels.clone())
        .unwrap_or_default()
}

fn split_port(destination: &str) -> Result<(&str, Option<u16>), Failure> {
    match destination.rsplit_once(':') {
        None => Ok((destination, None)),
        Some((name, port)) => match port.parse() {
            Ok(port) => Ok((name, Some(port))),
            Err(_) => Err(Failure::Argument(format!(
                "`{port}` is no port; write {name}:PORT with a number from 1 to 65535"
            ))),
        },
    }
}

/// The port of a destination that has one only.
fn only_port(scene: &Scene, name: &str, is_gateway: bool) -> Result<u16, Failure> {
    let (namespace, own) = name.split_once('/').unwrap_or_default();
    let (namespace, own) = (namespace.to_owned(), own.to_owned());
    let document = scene.documents.get(&if is_gateway {
        DocumentName::Gateway(namespace, own)
    } else {
        DocumentName::Service(namespace, own)
    });
    let ports: Vec<u16> = match document {
        Some(Document::Service(service)) => service.ports.iter().map(|port| port.port).collect(),
        Some(Document::Gateway(gateway)) => {
            let mut ports: Vec<_> = gateway.listeners.iter().map(|own| own.port).collect();
            ports.dedup();
            ports
        }
        _ => {
            return Err(Failure::Argument(format!(
                "there is no {} {name} in the manifests; check namespace and name",
                if is_gateway { "gateway" } else { "service" }
            )));
        }
    };
    match ports.as_slice() {
        [port] => Ok(*port),
        ports => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            Err(Failure::Argument(format!(
                "{name} has the ports {}; say which: {name}:PORT",
                ports.join(", ")
            )))
        }
    }
}

fn is_pair(name: &str) -> bool {
    name.split_once('/').is_some_and(|(namespace, own)| {
        !namespace.is_empty() && !own.is_empty() && !own.contains('/')
    })
}

fn pair(written: &str, flag: &str, form: &str) -> Result<(String, String), Failure> {
    match written.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::Argument(format!(
            "`{written}` is no {form}; write {flag} {form}"
        ))),
    }
}
