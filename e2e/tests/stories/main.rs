//! Stories on a real cluster, told as a user acts: kubectl apply, calls from a pod, kubectl get.
//!
//! `make e2e` starts a cluster, tells them, prints what was measured, and takes it down;
//! `make e2e STORY=part-of-a-name` tells some; `CLUSTER=current` tells them on the cluster that
//! kubectl points at, where the images must be already.

mod access;
mod address;
mod bookstore;
mod caller;
mod canary;
mod diagnosis;
mod failure;
mod figures;
mod gateway;
mod injection;
mod install;
mod jobs;
mod outage;
mod probes;
mod programmed;
mod progress;
mod rollout;
mod rotation;
mod stage;
mod starts;
mod steady;
mod streams;
mod tcp;
mod upgrade;

use std::{
    env,
    fs::File,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::LocalBoxFuture};
use stage::{Stage, Told};
use weft_e2e::cluster::{Cluster, outside};

/// A minute more than the slowest has ever needed here.
const BOUND: Duration = Duration::from_secs(420);

/// A story, and the promise that it keeps.
struct Story {
    name: &'static str,
    tell: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Told>,
}

macro_rules! stories {
    ($($module:ident :: $story:ident),* $(,)?) => {
        &[$(Story {
            name: concat!(stringify!($module), "::", stringify!($story)),
            tell: |stage| $module::$story(stage).boxed_local(),
        }),*]
    };
}

/// Told one after the other.
const STORIES: &[Story] = stories![
    bookstore::unchanged_services_call_each_other_by_mutual_tls,
    access::a_denied_caller_learns_the_rule_and_finds_no_way_around,
    address::pods_called_themselves_are_called_by_mutual_tls,
    canary::a_shift_under_load_fails_no_request,
    programmed::a_proxy_that_does_not_follow_is_waited_for_and_named,
    jobs::jobs_with_a_proxy_complete,
    probes::every_kind_works_under_strict_mutual_tls,
    injection::what_a_pod_excludes_is_not_captured,
    injection::what_is_left_alone_is_reported,
    injection::the_proxy_outlives_the_application,
    gateway::requests_from_outside_reach_services_by_mutual_tls,
    tcp::a_server_that_speaks_first_is_reached_by_mutual_tls,
    rollout::restarting_and_scaling_under_load_fails_no_request,
    rollout::twenty_rollouts_lose_no_unary_request,
    failure::killed_pods_fail_only_what_was_under_way_there,
    streams::a_change_of_the_config_loses_no_message,
];

/// Told at the same time as those, one after the other: they wait more than they work.
const BESIDE: &[Story] = stories![
    rotation::certificates_rotate_under_load_and_no_request_fails,
    starts::no_early_connection_fails_in_a_hundred_starts,
];

/// Told alone, when the others have ended: they stop or replace what every story stands on.
const ALONE: &[Story] = stories![
    install::applying_it_twice_changes_nothing,
    outage::traffic_goes_on_without_an_operator,
    outage::traffic_goes_on_without_an_api_server,
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
    let chosen = Chosen::new(&wanted);
    if chosen.count() == 0 {
        let all = [STORIES, BESIDE, ALONE];
        let names: Vec<_> = all.into_iter().flatten().map(|story| story.name).collect();
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

async fn tell(chosen: &Chosen) -> ExitCode {
    let started = Instant::now();
    let cluster = match cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            say(&format!("stories: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ours = !cluster.is_current();
    let told = tell_on(Stage::new(cluster), chosen).await;
    // The cluster went with the last stage: one of our own is down now.
    let traces = if ours { outside::traces() } else { Vec::new() };
    if !traces.is_empty() {
        say(&format!("stories: the cluster left {}", traces.join(", ")));
    }
    say(&format!(
        "stories: {} told in {:.0} s, {} not told, {} failed",
        told.done,
        started.elapsed().as_secs_f32(),
        told.skipped.len(),
        told.failed.len()
    ));
    for skipped in &told.skipped {
        say(&format!("  not told: {skipped}"));
    }
    for name in &told.failed {
        say(&format!("  FAILED {name}"));
    }
    report_skipped(&told.skipped);
    if told.failed.is_empty() && traces.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn tell_on(stage: Stage, chosen: &Chosen) -> Chapter {
    let mut told = Chapter::default();
    if let Err(error) = stage.install(chosen.rotates()).await {
        say(&format!("stories: the mesh is not installed: {error}"));
        say(&diagnosis::diagnosis(&stage).await);
        told.failed.push("(the installation)");
        return told;
    }
    let second = stage.beside();
    let (front, beside) = tokio::join!(
        tell_in_turn(&stage, &chosen.front),
        tell_in_turn(&second, &chosen.beside)
    );
    told.add(front);
    told.add(beside);
    if chosen.rotates() {
        // As it is installed, for what is told of installing.
        if let Err(why) = stage.install_again().await {
            say(&format!("stories: the mesh is not as it was: {why}"));
            told.failed.push("(the installation)");
        }
    }
    told.add(tell_in_turn(&stage, &chosen.alone).await);
    if let Err(why) = figures::measure(&stage).await {
        say(&format!("stories: figures are missing: {why}"));
        told.failed.push("(the figures)");
    }
    stage.clear().await;
    for line in stage.measured() {
        say(&line);
    }
    told
}

async fn tell_in_turn(stage: &Stage, stories: &[&Story]) -> Chapter {
    let mut told = Chapter::default();
    for story in stories {
        let name = story.name;
        say(&format!("story {name} ..."));
        let started = Instant::now();
        let ended = match tokio::time::timeout(BOUND, (story.tell)(stage)).await {
            Ok(ended) => ended,
            Err(_) => Err(format!("it did not end within {BOUND:?}")),
        };
        let seconds = started.elapsed().as_secs_f32();
        match (ended, stage.why_not()) {
            (Ok(()), Some(why)) => {
                say(&format!("story {name} ... not told: {why}"));
                told.skipped.push(format!("{name}: {why}"));
            }
            (Ok(()), None) => {
                say(&format!("story {name} ... ok ({seconds:.1} s)"));
                told.done += 1;
            }
            (Err(why), _) => {
                say(&format!("story {name} ... FAILED ({seconds:.1} s): {why}"));
                say(&diagnosis::diagnosis(stage).await);
                told.failed.push(name);
                told.done += 1;
            }
        }
        stage.clear().await;
    }
    told
}

/// How stories ended.
#[derive(Default)]
struct Chapter {
    done: usize,
    failed: Vec<&'static str>,
    skipped: Vec<String>,
}

impl Chapter {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }
}

/// The stories whose names hold one of the words; all where there is no word.
struct Chosen {
    front: Vec<&'static Story>,
    beside: Vec<&'static Story>,
    alone: Vec<&'static Story>,
}

impl Chosen {
    fn new(wanted: &[String]) -> Self {
        let of = |stories: &'static [Story]| {
            let by_name = |story: &&Story| {
                wanted.is_empty() || wanted.iter().any(|part| story.name.contains(part.as_str()))
            };
            stories.iter().filter(by_name).collect()
        };
        Self {
            front: of(STORIES),
            beside: of(BESIDE),
            alone: of(ALONE),
        }
    }

    /// Whether identities are to live for a minute only, on a cluster of our own.
    fn rotates(&self) -> bool {
        self.beside
            .iter()
            .any(|story| story.name.starts_with("rotation::"))
    }

    fn count(&self) -> usize {
        self.front.len() + self.beside.len() + self.alone.len()
    }
}

/// Tells `hack/test.sh`, whose last lines name what was not checked.
fn report_skipped(skipped: &[String]) {
    let Some(path) = env::var_os("WEFT_SKIPPED").filter(|_| !skipped.is_empty()) else {
        return;
    };
    let written = File::options()
        .append(true)
        .open(&path)
        .and_then(|mut file| {
            skipped
                .iter()
                .try_for_each(|line| writeln!(file, "the story {line}"))
        });
    if let Err(error) = written {
        say(&format!("stories: {}: {error}", Path::new(&path).display()));
    }
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
