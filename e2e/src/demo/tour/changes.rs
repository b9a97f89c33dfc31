//! What changes under running traffic.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{Outcome, ensure, refuted, spiffe};
use crate::demo::{
    DemoError,
    clients::Clients,
    flow::{Flow, Tally},
    layout::Workload,
    mesh::Mesh,
    report::duration,
};

const RATE: u32 = 200;

/// Fifty edits of the reviews' route.
pub(super) async fn edits(mesh: &Mesh, clients: &Clients) -> Outcome {
    const EDITS: u64 = 50;
    let mut flow = reviews_flow(mesh, clients).await?;
    flow.take();
    let mut latencies = Vec::new();
    for edition in 1..=EDITS {
        let changed = edit(&mesh.manifests(), edition)?;
        let Some(seen) = flow.edition_seen(edition, Duration::from_secs(5)).await else {
            return Err(refuted(format!("edit {edition} is not in force after 5 s")));
        };
        latencies.push(seen.saturating_duration_since(changed));
        // Edits at a person's pace would take minutes; this leaves the mesh some traffic
        // between two of them.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    latencies.sort_unstable();
    let at = |index: usize| latencies.get(index).copied().unwrap_or_default();
    let (median, most) = (at(latencies.len() / 2), at(latencies.len() - 1));
    let measured = format!(
        "median {}, at most {}; {}",
        duration(median),
        duration(most),
        settled(flow.take())?
    );
    ensure(most < Duration::from_secs(1), || measured.clone())?;
    Ok(measured)
}

/// SIGKILL to the operator; traffic, then a proxy that did not exist before.
pub(super) async fn operator_death(mesh: &mut Mesh, clients: &Clients) -> Outcome {
    let mut flow = reviews_flow(mesh, clients).await?;
    flow.take();
    let pid = mesh
        .kill_operator()
        .ok_or_else(|| refuted("no operator was running"))?;
    let outcome = without_operator(mesh, clients, &flow).await;
    // The next steps, and whoever watches the demo, want it back in any case.
    mesh.start_operator().await?;
    let (started, traffic) = outcome?;
    // The new operator takes up where the old one ended: same CA, next edit.
    let edition = 1000;
    let changed = edit(&mesh.manifests(), edition)?;
    let seen = flow.edition_seen(edition, Duration::from_secs(5)).await;
    let seen = seen.ok_or_else(|| refuted("the restarted operator publishes no edit"))?;
    settled(flow.take())?;
    Ok(format!(
        "killed {pid}; {traffic}; proxy up in {}; restarted: edit in {}",
        duration(started),
        duration(seen.saturating_duration_since(changed))
    ))
}

async fn without_operator(
    mesh: &mut Mesh,
    clients: &Clients,
    flow: &Flow,
) -> Result<(Duration, String), DemoError> {
    let newcomer = Workload::client("storefront-2", "storefront", 11);
    let began = Instant::now();
    mesh.start_proxy(&newcomer)?;
    mesh.proxy_ready(&newcomer, clients).await?;
    let started = began.elapsed();
    let target = "reviews:9080";
    let reply = clients
        .get(newcomer.outbound(), target, "/reviews/1")
        .await?;
    ensure(reply.status == StatusCode::OK, || {
        format!("the new proxy answers {}: {}", reply.status, reply.text())
    })?;
    let answer = reply.answer()?;
    ensure(answer.caller() == Some(&spiffe("storefront")), || {
        format!("through the new proxy reviews saw {:?}", answer.client_cert)
    })?;
    // At least two seconds of traffic without an operator.
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(began.elapsed())).await;
    Ok((started, settled(flow.take())?))
}

/// Steady traffic from the storefront to the reviews, once it flows.
async fn reviews_flow(mesh: &Mesh, clients: &Clients) -> Result<Flow, DemoError> {
    let outbound = mesh.workload("storefront-1")?.outbound();
    let target = "reviews:9080";
    let first = clients.get(outbound, target, "/reviews/1").await?;
    ensure(first.status == StatusCode::OK, || {
        format!("before the flow starts, a request gets {}", first.status)
    })?;
    Ok(Flow::start(clients, RATE, outbound, target, "/reviews/1"))
}

/// No failure, and not for want of traffic.
fn settled(mut tally: Tally) -> Result<String, DemoError> {
    ensure(tally.failed == 0, || {
        let reasons = tally.failures.join("; ");
        format!(
            "{} of {} requests failed: {reasons}",
            tally.failed,
            tally.failed + tally.succeeded
        )
    })?;
    ensure(tally.succeeded > 0, || "no traffic flowed".to_owned())?;
    let p99 = duration(tally.percentile(99));
    Ok(format!("{} requests, 0 failed, p99 {p99}", tally.succeeded))
}

/// Writes the route with another edition, as an editor does: a new file, renamed over the old.
/// Returns when it stood.
fn edit(manifests: &Path, edition: u64) -> Result<Instant, DemoError> {
    const MARK: &str = "x-edition: \"";
    let path = manifests.join("routes.yaml");
    let failed = |source| DemoError::File {
        path: path.clone(),
        source,
    };
    let old = fs::read_to_string(&path).map_err(failed)?;
    let mut parts = old.split(MARK);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        new.push_str(MARK);
        new.push_str(&edition.to_string());
        new.push_str(rest);
    }
    ensure(new != old, || {
        "routes.yaml has no x-edition header to change".to_owned()
    })?;
    let next = path.with_extension("yaml.next");
    fs::write(&next, new).map_err(failed)?;
    let changed = Instant::now();
    fs::rename(&next, &path).map_err(failed)?;
    Ok(changed)
}
