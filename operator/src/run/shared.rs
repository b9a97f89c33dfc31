use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use weft_crds::Settings;
use weft_engine::{documents::ReportTo, identity::SpiffeId};

use super::RunError;
use crate::{
    cli::MeshArguments,
    identity::{IdentityStore, Keeper, KeeperNews, KeeperSettings, Wanted},
    lease::Leadership,
    metrics::Metrics,
    reconcile::Summary,
    reports::{self, Told},
    serve::serve,
};

/// The operator's service account, whose name its certificate carries.
const ACCOUNT: &str = "weft-operator";

/// What both worlds are made of.
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    pub(super) settings: Settings,
    pub(super) wanted: watch::Sender<Wanted>,
    pub(super) summary: watch::Sender<Option<Summary>>,
    pub(super) ready: watch::Sender<bool>,
    /// Whether the webhooks can answer; true where there are none.
    pub(super) admits: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(mesh: &MeshArguments, root_namespace: &str) -> Result<Self, RunError> {
        Ok(Self {
            metrics: Metrics::new(),
            settings: Settings {
                trust_domain: mesh.trust_domain.clone(),
                cluster_domain: mesh.cluster_domain.clone(),
                root_namespace: root_namespace.to_owned(),
                trust_bundle: String::new(),
                report_to: report_to(mesh, root_namespace)?,
            },
            wanted: watch::channel(None).0,
            summary: watch::channel(None).0,
            ready: watch::channel(false).0,
            admits: watch::channel(true).0,
        })
    }

    /// Serves the reports of proxies, where they are asked.
    pub(super) async fn listen(
        &self,
        mesh: &MeshArguments,
        news: &KeeperNews,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<Option<mpsc::Receiver<Told>>, RunError> {
        let (Some(address), Some(ours)) = (mesh.reports, &self.settings.report_to) else {
            return Ok(None);
        };
        let (reports, serve) = reports::listen(
            address,
            ours.identity.clone(),
            news.authority.clone(),
            self.metrics.clone(),
            stop.clone(),
        )
        .await?;
        tasks.spawn(serve);
        Ok(Some(reports))
    }

    /// Keeps the CA and the identities in `store`; looks at all of them again every `recheck`.
    pub(super) fn keep<S: IdentityStore>(
        &self,
        store: S,
        mesh: &MeshArguments,
        recheck: Duration,
        leadership: &Leadership,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> KeeperNews {
        let settings = KeeperSettings {
            trust_domain: mesh.trust_domain.clone(),
            lifetime: mesh.leaf_lifetime,
            recheck,
        };
        let (keeper, news) = Keeper::new(
            store,
            settings,
            self.wanted.subscribe(),
            leadership.clone(),
            self.metrics.clone(),
        );
        tasks.spawn(keeper.run(stop.clone()));
        news
    }

    /// Serves metrics and readiness, where an address is given.
    pub(super) async fn serve(
        &self,
        address: Option<SocketAddr>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        if let Some(address) = address {
            let ready = [self.ready.subscribe(), self.admits.subscribe()];
            tasks.spawn(serve(address, self.metrics.clone(), ready, stop.clone()).await?);
        }
        Ok(())
    }
}

/// Where proxies report, and whom they expect there.
fn report_to(mesh: &MeshArguments, namespace: &str) -> Result<Option<ReportTo>, RunError> {
    let Some(listen) = mesh.reports else {
        return Ok(None);
    };
    let ip = mesh.reports_ip.unwrap_or(listen.ip());
    if ip.is_unspecified() || listen.port() == 0 {
        return Err(RunError::NoAddress(listen));
    }
    Ok(Some(ReportTo {
        address: SocketAddr::new(ip, listen.port()),
        identity: SpiffeId::new(&mesh.trust_domain, namespace, ACCOUNT)?,
    }))
}
