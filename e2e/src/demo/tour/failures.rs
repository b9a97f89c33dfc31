//! What callers do not notice.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::{Outcome, ensure, refuted};
use crate::{
    bookstore::FaultSettings,
    demo::{clients::Clients, mesh::Mesh, report::duration},
};

const METRIC: &str = "weft_outlier_ejections";

/// Each of the three instances in turn answers every other request with 503, a dozen times in
/// all. One alone would soon be asked no more: balancing shuns what fails.
pub(super) async fn retry(mesh: &Mesh, clients: &Clients) -> Outcome {
    const ROUNDS: usize = 4;
    const PATIENCE: u32 = 2000;
    let outbound = mesh.workload("storefront-1")?.outbound();
    let fault = FaultSettings {
        fail_first_of_two: true,
        ..FaultSettings::default()
    };
    let (mut given, mut seen, mut sent) = (0, 0_u32, 0_u32);
    for name in ["catalog-1", "catalog-2", "catalog-3"].repeat(ROUNDS) {
        let failing = mesh.workload(name)?.health();
        let before = clients.set_faults(failing, &fault).await?.failed;
        let end = sent + PATIENCE;
        while sent < end && clients.faults(failing).await?.failed == before {
            for _ in 0..5 {
                let reply = clients.get(outbound, "catalog", "/books").await;
                seen += u32::from(!matches!(reply, Ok(reply) if reply.status == StatusCode::OK));
                sent += 1;
            }
        }
        let sound = FaultSettings::default();
        let after = clients.set_faults(failing, &sound).await?;
        ensure(after.failed > before, || {
            format!("{PATIENCE} requests never reached {name}, so nothing was shown")
        })?;
        given += after.failed - before;
    }
    let measured = format!("{given} × 503 given, {seen} seen in {sent} requests");
    ensure(seen == 0, || measured.clone())?;
    Ok(measured)
}

/// One of three instances answers everything with 500, which no route retries.
pub(super) async fn ejection(mesh: &Mesh, clients: &Clients) -> Outcome {
    const REQUESTS: u32 = 200;
    const PATIENCE: Duration = Duration::from_secs(30);
    let storefront = mesh.workload("storefront-1")?;
    let failing = mesh.workload("catalog-3")?.health();
    let fault = FaultSettings {
        fail_percent: 100,
        fail_status: 500,
        ..FaultSettings::default()
    };
    clients.set_faults(failing, &fault).await?;
    let outcome = async {
        let began = Instant::now();
        let mut errors = 0_u32;
        loop {
            let reply = clients
                .get(storefront.outbound(), "catalog", "/books")
                .await?;
            errors += u32::from(reply.status == StatusCode::INTERNAL_SERVER_ERROR);
            // Asking for the metric after every error is enough: nothing else ejects.
            let ejected = reply.status == StatusCode::INTERNAL_SERVER_ERROR
                && clients
                    .metric(storefront.metrics(), METRIC, "catalog")
                    .await?
                    > 0.0;
            if ejected {
                break;
            }
            ensure(began.elapsed() < PATIENCE, || {
                format!("{errors} errors, and {METRIC} still says 0 after 30 s")
            })?;
        }
        let took = began.elapsed();
        let before = clients.faults(failing).await?.requests;
        for _ in 0..REQUESTS {
            let reply = clients
                .get(storefront.outbound(), "catalog", "/books")
                .await?;
            ensure(reply.status == StatusCode::OK, || {
                format!("after the ejection a request got {}", reply.status)
            })?;
        }
        let reached = clients.faults(failing).await?.requests - before;
        ensure(reached == 0, || {
            format!("{reached} requests reached the ejected instance")
        })?;
        Ok(format!(
            "after {errors} errors ({}); then {REQUESTS} of {REQUESTS} succeed",
            duration(took)
        ))
    }
    .await;
    clients
        .set_faults(failing, &FaultSettings::default())
        .await?;
    outcome.map_err(|error: crate::demo::DemoError| refuted(error.to_string()))
}
