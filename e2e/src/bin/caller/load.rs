//! Calls at a steady rate.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{millis, now, say, unary::Call};

/// Calls under way at once.
const IN_FLIGHT: usize = 64;

/// An open loop: a slow answer delays no later request, up to the bound on calls under way.
pub(super) async fn run(call: Call, rate: u32, seconds: u32) -> io::Result<bool> {
    let caller = call.caller()?;
    let call = Arc::new(call);
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let end = Instant::now() + Duration::from_secs(seconds.into());
    while Instant::now() < end {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (mut caller, call) = (caller.clone(), Arc::clone(&call));
        calls.spawn(async move {
            let _place = place;
            let (at, started) = (now(), Instant::now());
            let answer = caller.call(&call).await;
            say(&json!({
                "at": at,
                "ms": millis(started.elapsed()),
                "status": answer["status"],
                "flag": answer["headers"]["x-weft-flag"],
                "version": answer["body"]["version"],
                "instance": answer["body"]["instance"],
                "error": answer["error"],
            }));
        });
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    Ok(true)
}
