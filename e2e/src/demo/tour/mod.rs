//! The tour: claims, each measured on the running mesh.

mod access;
mod changes;
mod failures;
mod protocols;
mod traffic;

use std::time::{Duration, Instant};

use super::{DemoError, clients::Clients, mesh::Mesh, report::Report};

/// A claim that is not settled by then does not hold.
const BOUND: Duration = Duration::from_secs(120);

/// What was measured, or why the claim does not hold.
type Outcome = Result<String, DemoError>;

/// Settles one claim: its name, its words, its check.
macro_rules! claims {
    ($tour:ident: $($name:literal $words:literal => $check:expr;)*) => {
        $($tour.settle($name, $words, async || $check.await).await;)*
    };
}

struct Tally<'a> {
    report: &'a Report,
    only: &'a str,
    held: usize,
    of: usize,
}

impl Tally<'_> {
    async fn settle(&mut self, name: &str, words: &str, check: impl AsyncFnOnce() -> Outcome) {
        if !name.contains(self.only) {
            return;
        }
        let outcome = match tokio::time::timeout(BOUND, check()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(refuted("not settled within 2 minutes")),
        };
        self.report.claim(words, &outcome);
        self.held += usize::from(outcome.is_ok());
        self.of += 1;
    }
}

/// Walks the whole tour; whether every claim held. A claim that fails does not stop it.
pub(super) async fn walk(mesh: &mut Mesh, clients: &Clients, report: &Report, only: &str) -> bool {
    report.heading("The tour");
    let began = Instant::now();
    let mut tour = Tally {
        report,
        only,
        held: 0,
        of: 0,
    };
    claims! { tour:
        "front-door" "one page crosses the gateway and all five services" =>
            traffic::front_door(mesh, clients);
        "gateway" "the gateway answers and redirects by itself" =>
            traffic::gateway_rules(mesh, clients);
        "split" "2,000 requests split 80/20 within 3 points" =>
            traffic::split(mesh, clients);
        "identity" "the callee sees the caller's SPIFFE ID, and no forged one" =>
            access::identity(mesh, clients);
        "forbidden" "a forbidden call gets 403 that names policy and rule" =>
            access::forbidden(mesh, clients);
        "spelling" "no spelling of a path gets around its policy" =>
            access::spelling(mesh, clients);
        "tcp-refused" "a forbidden TCP connection carries no byte" =>
            access::forbidden_tcp(mesh, clients);
        "plaintext" "plaintext straight to a Strict workload is refused" =>
            access::plaintext(mesh, clients);
        "grpc" "a gRPC call and a gRPC stream cross two proxies" =>
            protocols::grpc(mesh);
        "websocket" "a WebSocket echo crosses two proxies" =>
            protocols::web_socket(mesh);
        "tcp" "a TCP echo crosses two proxies, the server speaking first" =>
            protocols::tcp(mesh);
        "retry" "a retry hides a 503" =>
            failures::retry(mesh, clients);
        "ejection" "a failing endpoint is ejected, the others serve" =>
            failures::ejection(mesh, clients);
        "edits" "50 edits under 200 req/s: each in force < 1 s, 0 failures" =>
            changes::edits(mesh, clients);
        "operator" "the operator dies: traffic flows, a new proxy starts" =>
            changes::operator_death(mesh, clients);
    }
    report.sum(tour.held, tour.of, began.elapsed());
    tour.held == tour.of && tour.of > 0
}

/// A claim does not hold.
fn refuted(reason: impl Into<String>) -> DemoError {
    DemoError::Claim(reason.into())
}

/// Holds only if `condition`.
fn ensure(condition: bool, reason: impl FnOnce() -> String) -> Result<(), DemoError> {
    if condition {
        Ok(())
    } else {
        Err(refuted(reason()))
    }
}

/// The SPIFFE ID of a service account of the bookstore.
fn spiffe(service_account: &str) -> String {
    let namespace = super::layout::NAMESPACE;
    format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}")
}
