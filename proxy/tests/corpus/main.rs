//! The corpus against live proxies on loopback: for each case file the operator's documents, a
//! proxy before every pod and beside every caller, and each case's request as raw bytes.

mod app;
mod client;
mod judge;
#[path = "../mesh/mod.rs"]
mod mesh;
mod stage;

use std::{collections::BTreeMap, path::Path, time::Instant};

use weft_crds::corpus::{CaseFile, case_files};

use stage::Stage;

/// The corpus may grow; it may not melt away unnoticed.
const AT_LEAST: usize = 390;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_corpus_holds_with_live_proxies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus");
    let files = case_files(&path).expect("the corpus parses");
    // For one file while at work on it: CORPUS=auth-tcp.
    let only = std::env::var("CORPUS").unwrap_or_default();
    let started = Instant::now();
    let mut tally = Tally::default();
    for (number, file) in files.iter().enumerate() {
        if file.path.display().to_string().contains(&only) {
            let (before, began) = (tally.failures.len(), Instant::now());
            play(number, file, &mut tally).await;
            println!(
                "{}: {} cases, {} expectations not met, {:.1} s",
                file.path.file_stem().unwrap_or_default().display(),
                file.cases.len(),
                tally.failures.len() - before,
                began.elapsed().as_secs_f32(),
            );
        }
    }
    println!(
        "{} cases with live proxies in {:.1} s, {} skipped",
        tally.run,
        started.elapsed().as_secs_f32(),
        tally.skipped.values().sum::<usize>()
    );
    for (reason, count) in &tally.skipped {
        println!("  skipped {count}: {reason}");
    }
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
    assert!(
        tally.run >= AT_LEAST || !only.is_empty(),
        "only {} cases were run",
        tally.run
    );
}

#[derive(Default)]
struct Tally {
    run: usize,
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

async fn play(number: usize, file: &CaseFile, tally: &mut Tally) {
    let stage = Stage::set(number, file).await;
    for case in &file.cases {
        if let Some(reason) = &case.live.skip {
            *tally.skipped.entry(reason.clone()).or_default() += 1;
            continue;
        }
        tally.run += 1;
        let seen = stage.play(&case.call).await;
        let name = file.path.file_stem().unwrap_or_default();
        tally.failures.extend(
            judge::mismatches(case, &seen, &stage)
                .into_iter()
                .map(|failure| format!("{}: {}: {failure}", name.display(), case.name)),
        );
    }
}
