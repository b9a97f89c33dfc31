use std::{io::Write, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{GRACE, RunError, finish, shared::Shared, stop_on_signal};
use crate::{
    cli::StandaloneArguments,
    identity::{KeeperNews, Volumes},
    lease::Leadership,
    publish::Files,
    reconcile::{Joining, Parts, Reconciler, Summary, questions},
    source::{self, Change, WatchedDirectory, watch_directory},
    status::StatusFiles,
};

/// From a directory of manifests to a directory of documents.
pub(super) async fn standalone(arguments: StandaloneArguments) -> Result<(), RunError> {
    let stop = stop_on_signal()?;
    std::fs::read_dir(&arguments.manifests).map_err(|source| RunError::Manifests {
        path: arguments.manifests.display().to_string(),
        source,
    })?;
    let shared = Shared::new(&arguments.mesh, "weft-system")?;
    let files = Files::new(&arguments.out)?;
    let ledger = files.survey()?;
    let statuses = StatusFiles::new(&arguments.out)?;
    let stored_statuses = statuses.survey()?;
    let leadership = Leadership::alone();
    shared.metrics.leader.set(1);

    let mut tasks = JoinSet::new();
    shared
        .serve(arguments.mesh.metrics, &mut tasks, &stop)
        .await?;
    let volumes = Volumes::new(&arguments.out);
    let (mesh, recheck) = (&arguments.mesh, Duration::from_secs(60));
    let news = shared.keep(volumes, mesh, recheck, &leadership, &mut tasks, &stop);
    let reports = shared
        .listen(&arguments.mesh, &news, &mut tasks, &stop)
        .await?;

    let (sender, changes) = mpsc::channel::<Change>(source::QUEUE);
    let watched = WatchedDirectory::new(&arguments.manifests);
    tasks.spawn(watch_directory(watched, sender, stop.clone()));
    let summary = shared.summary.subscribe();
    tasks.spawn(announce(summary, news.clone(), stop.clone()));
    let reconciler = Reconciler::new(Parts {
        publisher: files,
        ledger,
        statuses,
        stored_statuses,
        leadership,
        metrics: shared.metrics,
        settings: shared.settings,
        joining: Joining::All,
        wanted: shared.wanted,
        authority: news.authority,
        reports,
        // Nobody asks before a file is written.
        questions: questions().1,
        summary: shared.summary,
        ready: shared.ready,
    });
    tasks.spawn(reconciler.run(changes, stop.clone()));
    finish(tasks, stop).await;
    Ok(())
}

/// Prints the one line that says that documents and identities are there.
async fn announce(
    mut summary: watch::Receiver<Option<Summary>>,
    mut news: KeeperNews,
    stop: CancellationToken,
) {
    let both = async {
        let Ok(Some(summary)) = summary.wait_for(Option::is_some).await.map(|s| *s) else {
            return;
        };
        // An account that cannot have an identity is in the log; it does not hold up the rest.
        let settled = news.settled.wait_for(|settled| *settled);
        let _ = tokio::time::timeout(GRACE, settled).await;
        let mut out = std::io::stdout().lock();
        let line = format!(
            "ready documents={} objects={} problems={}",
            summary.documents, summary.objects, summary.problems
        );
        // Nobody reads it: then nobody waits for it either.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = both => {}
    }
}
