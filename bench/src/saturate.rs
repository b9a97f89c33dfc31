//! As much as goes through, of what a scenario sends.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    BenchError,
    load::{Saturated, bulk, grpc, h2load, messages::Talk, websocket, wrk},
    peers::BODY,
    running::get,
    scenario::{Load, Scenario},
    stage::{Deployment, Stage},
};

/// One request says whether the set-up does what is to be measured.
pub(crate) fn answers(scenario: Scenario, deployment: &Deployment) -> Result<(), BenchError> {
    let (front, host) = (deployment.front, &deployment.host);
    let is_right: &dyn Fn() -> Result<(), String> = match scenario.load() {
        // What is not a 200 is counted by the load, and messages that do not come back.
        Load::Http1 { tls: true }
        | Load::Http2
        | Load::GrpcStream
        | Load::WebSocket
        | Load::Bytes => {
            return Ok(());
        }
        Load::GrpcUnary => &|| grpc::call(front, host).map_err(|error| error.to_string()),
        Load::Http1 { tls: false } => &|| match get(front, host, "/") {
            Some((200, body)) if body.len() == BODY => Ok(()),
            other => Err(format!(
                "{:?}",
                other.map(|(status, body)| (status, body.len()))
            )),
        },
    };
    // The first request may meet a document that is being loaded.
    let began = Instant::now();
    while let Err(seen) = is_right() {
        if began.elapsed() > Duration::from_secs(20) {
            let reason = format!("does not give the backend's answer: {seen}");
            return Err(deployment.error(reason));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Sends for `seconds`, over `connections` or with as many requests under way.
pub(crate) fn saturate(
    stage: &Stage,
    scenario: Scenario,
    deployment: &Deployment,
    connections: u32,
    seconds: u32,
) -> Result<Saturated, BenchError> {
    let (tools, front, host) = (&stage.tools, deployment.front, &deployment.host);
    let talk = Talk {
        connections,
        streams: 1,
        time: Duration::from_secs(u64::from(seconds)),
    };
    // As many under way as with HTTP/1.1, on fewer connections.
    let few = Talk {
        connections: (connections / 8).max(1),
        streams: 8,
        ..talk
    };
    let failed = |error: std::io::Error| deployment.error(format!("under load: {error}"));
    match scenario.load() {
        Load::Http1 { tls } => wrk::send(tools, front, host, tls, connections, seconds),
        Load::Http2 => h2load::send(tools, front, host, few, None),
        Load::GrpcUnary => {
            let message = deployment.room.join("message");
            fs::write(&message, grpc::framed()).map_err(BenchError::file(&message))?;
            h2load::send(tools, front, host, few, Some(&message))
        }
        Load::GrpcStream => grpc::send(front, host, few).map_err(failed),
        Load::WebSocket => websocket::send(front, host, talk).map_err(failed),
        Load::Bytes => bulk::take(front, few).map_err(failed),
    }
}
