//! After the tour: the mesh stays up, with figures and addresses, until it is interrupted.

use std::time::Duration;

use super::{
    DemoError,
    clients::Clients,
    flow::Flow,
    layout::NAMESPACE,
    mesh::Mesh,
    report::{Report, duration},
};

const RATE: u32 = 50;
const EVERY: Duration = Duration::from_secs(2);

/// Prints a line every two seconds; ends only when it is dropped.
pub(super) async fn stay(mesh: &Mesh, clients: &Clients, report: &Report) -> Result<(), DemoError> {
    let storefront = mesh.workload("storefront-1")?;
    let crawler = mesh.workload("crawler-1")?;
    let gateway = mesh.workload("gateway-1")?;
    report.heading("Try it");
    let routes = mesh.manifests().join("routes.yaml");
    for (command, what) in [
        (
            format!("curl http://{}/", gateway.front()),
            "the shop's page",
        ),
        (
            format!(
                "curl -H 'Host: reviews:9080' http://{}/reviews/1",
                storefront.outbound()
            ),
            "as the storefront",
        ),
        (
            format!(
                "curl -i -H 'Host: reviews:9080' http://{}/reviews/1",
                crawler.outbound()
            ),
            "as the crawler: refused",
        ),
        (
            format!("curl http://{}/metrics", storefront.metrics()),
            "its proxy's metrics",
        ),
        (
            format!("curl http://{}/config", storefront.admin()),
            "its proxy's documents",
        ),
        (
            format!("$EDITOR {}", routes.display()),
            "change the weights and watch",
        ),
    ] {
        println!("  {command}");
        report.note(&format!("    {what}"));
    }
    report.heading(&format!(
        "Live: storefront to {NAMESPACE}/reviews, {RATE} req/s (Ctrl-C ends everything)"
    ));
    let flow = Flow::start(
        clients,
        RATE,
        storefront.outbound(),
        "reviews:9080",
        "/reviews/1",
    );
    loop {
        tokio::time::sleep(EVERY).await;
        let mut tally = flow.take();
        let (p50, p99) = (tally.percentile(50), tally.percentile(99));
        // Percentages of at most a few hundred requests: the precision of f64 is plenty.
        let share = 100.0 * tally.by_v2 as f64 / tally.succeeded.max(1) as f64;
        println!(
            "  v1 {:>5.1} %   v2 {share:>5.1} %   {:>4} ok   {:>3} failed   p50 {:>8}   p99 {:>8}",
            if tally.succeeded == 0 {
                0.0
            } else {
                100.0 - share
            },
            tally.succeeded,
            tally.failed,
            duration(p50),
            duration(p99),
        );
        if let Some(reason) = tally.failures.first() {
            report.note(reason);
        }
    }
}
