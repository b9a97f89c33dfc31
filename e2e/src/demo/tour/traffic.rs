//! Where requests go.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use http::StatusCode;
use serde_json::Value;

use super::{Outcome, ensure, refuted};
use crate::demo::{clients::Clients, mesh::Mesh, report::duration};

/// One page through the gateway: storefront, then catalog, reviews, ratings and ledger.
pub(super) async fn front_door(mesh: &Mesh, clients: &Clients) -> Outcome {
    let front = mesh.workload("gateway-1")?.front();
    // The very first requests load every document: one page may take a moment, not fail.
    let began = Instant::now();
    let reply = clients.get(front, "bookstore.localhost", "/").await?;
    let took = began.elapsed();
    ensure(reply.status == StatusCode::OK, || {
        format!("the page came with {}: {}", reply.status, reply.text())
    })?;
    let page = reply.answer()?;
    let part = |name: &str, pointer: &str| -> Result<String, _> {
        let content = page.content.get(name).unwrap_or(&Value::Null);
        content
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| refuted(format!("the page's {name} says {content}")))
    };
    part("catalog", "/answer/instance")?;
    part("reviews", "/answer/instance")?;
    part("ratings", "/instance")?;
    let receipt = part("ledger", "/receipt")?;
    ensure(receipt == "sold 1", || {
        format!("the receipt is {receipt:?}")
    })?;
    ensure(reply.header("x-served-by") == "bookstore", || {
        "the route's response header x-served-by is missing".to_owned()
    })?;
    Ok(format!("{} in {}", page.by.instance, duration(took)))
}

/// The gateway's own answers: a direct response and a redirect.
pub(super) async fn gateway_rules(mesh: &Mesh, clients: &Clients) -> Outcome {
    let front = mesh.workload("gateway-1")?.front();
    let robots = clients.get(front, "localhost", "/robots.txt").await?;
    ensure(robots.text().starts_with("User-agent"), || {
        format!("/robots.txt says {}: {}", robots.status, robots.text())
    })?;
    let moved = clients.get(front, "localhost", "/index.html").await?;
    let location = moved.header("location").to_owned();
    ensure(
        moved.status == StatusCode::MOVED_PERMANENTLY && location.ends_with('/'),
        || format!("/index.html says {} to {location:?}", moved.status),
    )?;
    Ok(format!("200 /robots.txt, 301 to {location}"))
}

/// 2,000 requests, 16 at a time.
pub(super) async fn split(mesh: &Mesh, clients: &Clients) -> Outcome {
    const REQUESTS: u32 = 2000;
    let outbound = mesh.workload("storefront-1")?.outbound();
    let began = Instant::now();
    let mut answers = stream::iter(0..REQUESTS)
        .map(|_| clients.get(outbound, "reviews:9080", "/reviews/1"))
        .buffer_unordered(16);
    let (mut v1, mut v2) = (0_u32, 0_u32);
    while let Some(reply) = answers.next().await {
        let reply = reply?;
        ensure(reply.status == StatusCode::OK, || {
            format!("a request got {}: {}", reply.status, reply.text())
        })?;
        match reply.answer()?.by.version.as_str() {
            "v1" => v1 += 1,
            "v2" => v2 += 1,
            other => {
                return Err(refuted(format!(
                    "an instance of version {other:?} answered"
                )));
            }
        }
    }
    let took: Duration = began.elapsed();
    let share = |count: u32| f64::from(count) * 100.0 / f64::from(REQUESTS);
    let measured = format!(
        "{:.1} % v1, {:.1} % v2, {:.0} req/s",
        share(v1),
        share(v2),
        f64::from(REQUESTS) / took.as_secs_f64()
    );
    ensure((share(v1) - 80.0).abs() <= 3.0, || measured.clone())?;
    Ok(measured)
}
