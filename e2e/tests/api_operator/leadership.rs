use std::time::{Duration, Instant};

use crate::{
    operator::Operator,
    stage::{Stage, eventually},
};

const BOUND: Duration = Duration::from_secs(15);

#[tokio::test]
async fn when_the_leader_is_killed_the_other_takes_over_and_nothing_is_lost() {
    let stage = Stage::enter("leadership").await;
    let mut first = Operator::lead(&stage, "leadership-first").await;
    let second = Operator::start(&stage, "leadership-second");
    stage.route("before", "reviews", "before-the-kill").await;
    stage.until_says("reviews", "before-the-kill", BOUND).await;
    stage
        .until_ready("VirtualRoute", "before", "True", BOUND)
        .await;
    second.assert_runs();
    let holder = stage.leader().await.unwrap();
    assert!(
        holder.contains("leadership-first"),
        "one leads at a time, and it is {holder}"
    );
    let before = stage.written().await;

    first.kill();
    let killed = Instant::now();
    // Asked for while nobody leads.
    stage
        .route("meanwhile", "reviews", "while-nobody-led")
        .await;
    eventually("the other leads", BOUND, || async {
        second.assert_runs();
        match stage.leader().await {
            Some(holder) if holder.contains("leadership-second") => Ok(()),
            other => Err(format!("{other:?}; {}", second.tail())),
        }
    })
    .await;
    let led = killed.elapsed();
    stage.until_says("reviews", "while-nobody-led", BOUND).await;
    let served = killed.elapsed();
    println!("leader killed: the other led after {led:?} and served after {served:?}");
    assert!(served < Duration::from_secs(15), "{served:?}");

    stage
        .until_ready("VirtualRoute", "meanwhile", "True", BOUND)
        .await;
    stage.until_says("reviews", "before-the-kill", BOUND).await;
    let after = stage.written().await;
    let lost: Vec<_> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .collect();
    assert!(lost.is_empty(), "lost with the leader: {lost:?}");
    let rewritten: Vec<_> = before
        .iter()
        .filter(|(name, _)| name.starts_with("Secret"))
        .filter(|(name, version)| after.get(*name) != Some(version))
        .collect();
    assert!(
        rewritten.is_empty(),
        "a new leader must not issue everything again: {rewritten:?}"
    );
}

#[tokio::test]
async fn a_leader_that_is_asked_to_stop_hands_over_at_once() {
    let stage = Stage::enter("handover").await;
    let mut first = Operator::lead(&stage, "handover-first").await;
    let second = Operator::start(&stage, "handover-second");
    stage.until_says("reviews", "9080", BOUND).await;
    first.stop();
    let stopped = Instant::now();
    eventually("the other leads", BOUND, || async {
        match stage.leader().await {
            Some(holder) if holder.contains("handover-second") => Ok(()),
            other => Err(format!("{other:?}; {}", second.tail())),
        }
    })
    .await;
    let took = stopped.elapsed();
    println!("leader stopped: the other led after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
