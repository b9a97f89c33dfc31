//! Stories on a real cluster, told as a user acts: kubectl apply, calls from a pod, kubectl get.
//!
//! `make e2e` starts a cluster, tells them one after the other, and takes it down;
//! `make e2e STORY=part-of-a-name` tells some; `CLUSTER=current` tells them on the cluster that
//! kubectl points at, where the images must be already.

mod access;
mod bookstore;
mod caller;
mod canary;
mod install;
mod jobs;
mod outage;
mod stage;
mod tcp;
mod upgrade;

use std::{
    env,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::LocalBoxFuture};
use stage::{Stage, Told};
use weft_e2e::cluster::{Cluster, outside};

/// A story, and the promise that it keeps.
struct Story {
    name: &'static str,
    tell: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Told>,
}

/// A minute more than the slowest has ever needed here.
const BOUND: Duration = Duration::from_secs(300);

macro_rules! stories {
    ($($module:ident :: $story:ident),+ $(,)?) => {
        &[$(Story {
            name: concat!(stringify!($module), "::", stringify!($story)),
            tell: |stage| $module::$story(stage).boxed_local(),
        }),+]
    };
}

const STORIES: &[Story] = stories![
    install::applying_it_twice_changes_nothing,
    bookstore::unchanged_services_call_each_other_by_mutual_tls,
    access::a_denied_caller_learns_the_rule_and_finds_no_way_around,
    canary::a_shift_under_load_fails_no_request,
    jobs::jobs_with_a_proxy_complete,
    tcp::a_server_that_speaks_first_is_reached_by_mutual_tls,
    outage::traffic_goes_on_without_an_operator,
    upgrade::an_upgrade_and_an_uninstall_lose_no_request,
];

fn main() -> ExitCode {
    if env::var_os("WEFT_STORIES").is_none() && env::var_os("CLUSTER").is_none() {
        say("stories: not told; `make e2e` tells them on a cluster of its own");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let chosen: Vec<&Story> = STORIES
        .iter()
        .filter(|story| wanted.is_empty() || wanted.iter().any(|part| story.name.contains(part)))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = STORIES.iter().map(|story| story.name).collect();
        say(&format!(
            "no story is called {wanted:?}; there are:\n  {}",
            names.join("\n  ")
        ));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("stories: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(tell(&chosen))
}

async fn tell(chosen: &[&Story]) -> ExitCode {
    let cluster = match cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            say(&format!("stories: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ours = !cluster.is_current();
    let stage = Stage::new(cluster);
    let failed = tell_on(&stage, chosen).await;
    // Takes a cluster of our own down, and waits for its end.
    drop(stage);
    let traces = if ours { outside::traces() } else { Vec::new() };
    if !traces.is_empty() {
        say(&format!("stories: the cluster left {}", traces.join(", ")));
    }
    say(&format!(
        "stories: {} told, {} failed",
        chosen.len(),
        failed.len()
    ));
    for name in &failed {
        say(&format!("  FAILED {name}"));
    }
    if failed.is_empty() && traces.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Tells them one after the other; returns which failed.
async fn tell_on(stage: &Stage, chosen: &[&Story]) -> Vec<&'static str> {
    if let Err(error) = stage.install().await {
        say(&format!("stories: the mesh is not installed: {error}"));
        say(&stage.what_is_wrong().await);
        return vec!["(the installation)"];
    }
    let mut failed = Vec::new();
    for (index, story) in chosen.iter().enumerate() {
        let (number, of, name) = (index + 1, chosen.len(), story.name);
        say(&format!("story {number}/{of} {name} ..."));
        let started = Instant::now();
        let told = match tokio::time::timeout(BOUND, (story.tell)(stage)).await {
            Ok(told) => told,
            Err(_) => Err(format!("it did not end within {BOUND:?}")),
        };
        let seconds = started.elapsed().as_secs_f32();
        match told {
            Ok(()) => say(&format!(
                "story {number}/{of} {name} ... ok ({seconds:.1} s)"
            )),
            Err(why) => {
                say(&format!(
                    "story {number}/{of} {name} ... FAILED ({seconds:.1} s): {why}"
                ));
                say(&stage.what_is_wrong().await);
                failed.push(name);
            }
        }
        stage.clear().await;
    }
    stage.measure_the_mesh().await;
    for line in stage.measured() {
        say(&line);
    }
    failed
}

async fn cluster() -> Result<Cluster, weft_e2e::cluster::Error> {
    if env::var("CLUSTER").is_ok_and(|which| which == "current") {
        return Cluster::current();
    }
    let program = PathBuf::from(env!("CARGO_BIN_EXE_weft-cluster"));
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images");
    Cluster::start(&program, &images).await
}

fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
