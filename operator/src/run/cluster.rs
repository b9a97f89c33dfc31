use std::{collections::HashMap, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{GRACE, RunError, finish, shared::Shared, stop_on_signal};
use crate::{
    cli::ClusterArguments,
    identity::Secrets,
    lease::{Election, Leadership, Timing},
    publish::{ConfigMaps, Ledger},
    reconcile::{Joining, Parts, Questions, Reconciler, questions},
    source::{self, Change},
    status::{StatusApi, accept_classes},
    webhook,
};

/// Against a Kubernetes API server.
pub(super) async fn cluster(arguments: ClusterArguments) -> Result<(), RunError> {
    let stop = stop_on_signal()?;
    let config = kube::Config::infer()
        .await
        .map_err(|error| RunError::Client(Box::new(error)))?;
    let client =
        kube::Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))?;
    let shared = Shared::new(&arguments.mesh, &arguments.namespace)?;
    let (term, leadership) = Leadership::new();

    let mut tasks = JoinSet::new();
    shared
        .serve(arguments.mesh.metrics, &mut tasks, &stop)
        .await?;
    // The lease is given back when everything that writes has ended.
    let written = CancellationToken::new();
    let election = Election::new(
        client.clone(),
        &arguments.namespace,
        identity(),
        Timing::lasting(arguments.lease_duration),
        term,
        shared.metrics.clone(),
    );
    let election = tokio::spawn(election.run(written.clone()));

    let secrets = Secrets::new(
        client.clone(),
        &arguments.namespace,
        &arguments.config_namespace,
    );
    let (mesh, recheck) = (&arguments.mesh, Duration::from_secs(300));
    let news = shared.keep(secrets, mesh, recheck, &leadership, &mut tasks, &stop);
    let reports = shared
        .listen(&arguments.mesh, &news, &mut tasks, &stop)
        .await?;
    let (asking, asked) = questions();
    shared
        .admit(&arguments, &client, asking, &leadership, &mut tasks, &stop)
        .await?;

    tasks.spawn(accept_classes(
        client.clone(),
        leadership.clone(),
        stop.clone(),
    ));
    let (sender, changes) = mpsc::channel::<Change>(source::QUEUE);
    tasks.spawn(source::watch(
        client.clone(),
        arguments.config_namespace.clone(),
        sender,
        shared.metrics.clone(),
        stop.clone(),
    ));
    let reconciler = Reconciler::new(Parts {
        publisher: ConfigMaps::new(client.clone(), &arguments.config_namespace),
        ledger: Ledger::default(),
        statuses: StatusApi::new(client),
        stored_statuses: HashMap::new(),
        leadership,
        metrics: shared.metrics,
        settings: shared.settings,
        joining: Joining::Labelled,
        wanted: shared.wanted,
        authority: news.authority,
        reports,
        questions: asked,
        summary: shared.summary,
        ready: shared.ready,
    });
    tasks.spawn(reconciler.run(changes, stop.clone()));
    finish(tasks, stop).await;
    written.cancel();
    if tokio::time::timeout(GRACE, election).await.is_err() {
        tracing::warn!("the lease was not given back in time; it runs out");
    }
    Ok(())
}

impl Shared {
    /// Serves the webhooks.
    async fn admit(
        &self,
        arguments: &ClusterArguments,
        client: &kube::Client,
        questions: Questions,
        leadership: &Leadership,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let wanted = &arguments.webhook;
        let Some(address) = wanted.webhook else {
            return Ok(());
        };
        let service = format!("{}.{}.svc", wanted.webhook_service, arguments.namespace);
        let full = format!("{service}.{}", arguments.mesh.cluster_domain);
        let names = [service, full]
            .into_iter()
            .chain(wanted.webhook_names.iter().cloned())
            .collect();
        let settings = weft_inject::Settings {
            image: wanted.proxy_image.clone(),
            image_pull_policy: wanted.proxy_image_pull_policy.clone(),
            config_namespace: arguments.config_namespace.clone(),
        };
        let serving = webhook::Serving::default();
        let router = webhook::router(settings, questions, self.metrics.clone());
        tasks.spawn(webhook::serve(address, router, serving.clone(), stop.clone()).await?);
        let (roots, bundle) = watch::channel(None);
        self.admits.send_replace(false);
        let (admits, mut issued) = (self.admits.clone(), bundle.clone());
        tasks.spawn(async move {
            if issued.wait_for(Option::is_some).await.is_ok() {
                admits.send_replace(true);
            }
        });
        tasks.spawn(webhook::keep_certificate(
            Secrets::new(
                client.clone(),
                &arguments.namespace,
                &arguments.config_namespace,
            ),
            arguments.mesh.trust_domain.clone(),
            names,
            wanted.webhook_certificate_lifetime,
            serving,
            roots,
            stop.clone(),
        ));
        tasks.spawn(webhook::keep_bundle(
            client.clone(),
            bundle,
            leadership.clone(),
            stop.clone(),
        ));
        Ok(())
    }
}

/// A name that no other operator has, nor this one after a restart.
fn identity() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "weft-operator".to_owned());
    format!("{host}_{:016x}", fastrand::u64(..))
}
