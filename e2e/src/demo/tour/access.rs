//! Who may call, and who is seen to call.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Outcome, ensure, refuted, spiffe};
use crate::demo::{
    clients::{self, Clients, Reply},
    mesh::Mesh,
};

/// The callee's own words about its caller.
pub(super) async fn identity(mesh: &Mesh, clients: &Clients) -> Outcome {
    let outbound = mesh.workload("storefront-1")?.outbound();
    let reply = clients.get(outbound, "reviews:9080", "/reviews/1").await?;
    let answer = reply.answer()?;
    let expected = format!("By={};URI={}", spiffe("reviews"), spiffe("storefront"));
    let cert = answer.client_cert.clone().unwrap_or_default();
    ensure(cert == expected, || {
        format!("reviews saw {cert:?}, not {expected:?}")
    })?;
    // The same from a caller who claims to be someone else: the catalog is open to the crawler.
    let crawler = mesh.workload("crawler-1")?.outbound();
    let reply = clients.forged(crawler, "catalog", "/books").await?;
    let answer = reply.answer()?;
    ensure(answer.caller() == Some(&spiffe("crawler")), || {
        format!("a forged header arrived as {:?}", answer.client_cert)
    })?;
    Ok(spiffe("storefront"))
}

/// A Deny rule, and an Allow policy of which no rule matches.
pub(super) async fn forbidden(mesh: &Mesh, clients: &Clients) -> Outcome {
    let crawler = mesh.workload("crawler-1")?.outbound();
    let reply = clients.get(crawler, "reviews:9080", "/reviews/1").await?;
    refused_by(&reply, "bookstore/no-crawlers/crawler")?;
    let storefront = mesh.workload("storefront-1")?.outbound();
    let target = "reviews:9080";
    let reply = clients
        .call(
            Method::DELETE,
            storefront,
            target,
            "/reviews/1",
            Bytes::new(),
        )
        .await?;
    refused_by(&reply, "bookstore/reviews-viewers/-")?;
    Ok("bookstore/no-crawlers/crawler, bookstore/reviews-viewers/-".to_owned())
}

fn refused_by(reply: &Reply, rule: &str) -> Result<(), crate::demo::DemoError> {
    let by = reply.header("x-weft-denied-by");
    ensure(reply.status == StatusCode::FORBIDDEN && by == rule, || {
        format!(
            "got {} by {by:?}, not 403 by {rule:?}: {}",
            reply.status,
            reply.text()
        )
    })?;
    // People read the body: it names policy and rule too.
    let (policy, name) = rule.rsplit_once('/').unwrap_or((rule, "-"));
    let body = reply.text();
    let named = body.contains(policy) && (name == "-" || body.contains(name));
    ensure(named, || format!("the body {body:?} does not name {rule}"))
}

/// The same forbidden path, spelt in other ways: none may reach the catalog's `/internal`.
pub(super) async fn spelling(mesh: &Mesh, clients: &Clients) -> Outcome {
    const SPELLINGS: [&str; 9] = [
        "/internal/stock",
        "//internal/stock",
        "/./internal/stock",
        "/books/../internal/stock",
        "/%69nternal/stock",
        "/books/%2e%2e/internal/stock",
        "/internal%2fstock",
        "/books/..%2finternal/stock",
        "/internal//stock",
    ];
    let outbound = mesh.workload("storefront-1")?.outbound();
    for path in SPELLINGS {
        let reply = clients.get(outbound, "catalog", path).await?;
        ensure(reply.status.is_client_error(), || {
            format!("{path} got {}: {}", reply.status, reply.text())
        })?;
        // A 404 of the catalog itself would show that the request got past the policy.
        ensure(!reply.header("x-weft-flag").is_empty(), || {
            format!(
                "{path} got {} from the service, not from the mesh",
                reply.status
            )
        })?;
    }
    Ok(format!("{} spellings, all refused", SPELLINGS.len()))
}

/// The crawler may not use the ledger.
pub(super) async fn forbidden_tcp(mesh: &Mesh, clients: &Clients) -> Outcome {
    let ledger = mesh.workload("ledger-1")?;
    let before = clients.faults(ledger.health()).await?.requests;
    let address = mesh.workload("crawler-1")?.ledger();
    match clients::tcp_echo(address, b"let me in").await {
        Ok((greeting, _)) if !greeting.is_empty() => {
            return Err(refuted(format!(
                "the crawler was greeted with {greeting:?}"
            )));
        }
        _ => {}
    }
    let after = clients.faults(ledger.health()).await?.requests;
    ensure(after == before, || {
        "a connection of the crawler reached the ledger".to_owned()
    })?;
    Ok("closed before the greeting".to_owned())
}

/// Past the caller's proxy, straight to the callee's.
pub(super) async fn plaintext(mesh: &Mesh, clients: &Clients) -> Outcome {
    let reviews = mesh.workload("reviews-v1-1")?;
    let before = clients.faults(reviews.health()).await?.requests;
    let received = clients::plaintext(reviews.inbound(), "reviews:9080", "/reviews/1").await;
    let after = clients.faults(reviews.health()).await?.requests;
    ensure(after == before, || {
        "plaintext reached the service".to_owned()
    })?;
    let text = String::from_utf8_lossy(&received);
    let head = text.lines().next().unwrap_or_default().to_owned();
    ensure(!head.contains(" 200"), || format!("got {head}"))?;
    Ok(if head.is_empty() {
        "the connection is closed".to_owned()
    } else {
        head
    })
}
