use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use weft_crds::World;
use weft_engine::documents::DocumentName;

use crate::{
    metrics::Metrics,
    reports::{Answer, Board, Told},
};

/// How long a new leader waits for the proxies before it counts those that it has heard.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked who is silent.
const TICK: Duration = Duration::from_secs(5);

/// What the owner of the world hears from proxies, while it leads.
pub(super) struct Hearing {
    /// `None`: proxies are not asked.
    reports: Option<mpsc::Receiver<Told>>,
    board: Board,
    metrics: Metrics,
    leads: bool,
    /// Until when it waits for `expected` proxies; `None`: enough were heard.
    patience: Option<Instant>,
    expected: usize,
    tick: Instant,
    /// Documents about which something new was said.
    news: BTreeSet<Arc<DocumentName>>,
}

impl Hearing {
    pub(super) fn new(reports: Option<mpsc::Receiver<Told>>, metrics: Metrics) -> Self {
        Self {
            reports,
            board: Board::new(metrics.clone()),
            metrics,
            leads: false,
            patience: None,
            expected: 0,
            tick: Instant::now() + TICK,
            news: BTreeSet::new(),
        }
    }

    /// What is known, where proxies are asked.
    pub(super) fn board(&self) -> Option<&Board> {
        self.reports.as_ref().map(|_| &self.board)
    }

    /// Whether those who are silent still may be about to speak.
    pub(super) fn is_early(&self) -> bool {
        self.patience.is_some()
    }

    /// The next report; for ever where nobody is asked.
    pub(super) async fn next(&mut self) -> Told {
        if let Some(reports) = &mut self.reports
            && let Some(told) = reports.recv().await
        {
            return told;
        }
        std::future::pending().await
    }

    /// A report that waits already.
    pub(super) fn more(&mut self) -> Option<Told> {
        self.reports.as_mut()?.try_recv().ok()
    }

    /// This operator leads now, and these documents are stored.
    pub(super) fn begin<'d>(
        &mut self,
        stored: impl Iterator<Item = (&'d DocumentName, &'d str)>,
        world: &World,
    ) {
        if self.reports.is_none() {
            return;
        }
        let now = Instant::now();
        self.board = Board::new(self.metrics.clone());
        for (name, digest) in stored {
            self.board.published(name, Some(digest), now);
        }
        self.leads = true;
        self.expected = world.meshed_pods();
        self.patience = Some(now + PATIENCE);
        self.tick = now + TICK;
    }

    /// It leads no more: the next leader is told everything.
    pub(super) fn end(&mut self) {
        self.leads = false;
        self.patience = None;
        self.news.clear();
        self.board = Board::new(self.metrics.clone());
    }

    /// A document was stored or withdrawn.
    pub(super) fn published(&mut self, name: &DocumentName, digest: Option<&str>) {
        if self.leads {
            self.board.published(name, digest, Instant::now());
        }
    }

    /// A pod is gone, and its proxy with it.
    pub(super) fn gone(&mut self, namespace: &str, pod: &str) {
        if self.leads {
            let had = self.board.forget(&format!("{namespace}/{pod}"));
            self.news.extend(had);
        }
    }

    /// Takes a report, and answers it.
    pub(super) fn take(&mut self, told: Told, world: &World) {
        let Told {
            from,
            report,
            answer,
        } = told;
        let account = world.account_of_pod(&from.namespace, &report.pod);
        let said = if !self.leads {
            Answer::NotLeading
        } else if account != Some(&from.name) {
            Answer::UnknownPod
        } else {
            match self.board.take(&from.namespace, report, Instant::now()) {
                Ok(news) => {
                    self.news.extend(news);
                    Answer::Taken(self.board.heartbeat())
                }
                Err(refusal) => Answer::Refused(refusal),
            }
        };
        // Who asked may have gone; then it tells it again.
        let _ = answer.send(said);
    }

    /// When there is something to do.
    pub(super) fn wake(&self) -> Option<Instant> {
        let tick = self.leads.then_some(self.tick)?;
        Some(self.patience.map_or(tick, |patience| patience.min(tick)))
    }

    /// Looks who is silent, and gives the documents about which there is news, and whether every
    /// status is to be looked at.
    pub(super) fn advance(&mut self, world: &World) -> (BTreeSet<Arc<DocumentName>>, bool) {
        if !self.leads {
            return (BTreeSet::new(), false);
        }
        let now = Instant::now();
        let all_heard = self.board.proxies() >= self.expected;
        let through = self
            .patience
            .is_some_and(|patience| all_heard || now >= patience);
        if through {
            self.patience = None;
        }
        if now >= self.tick {
            self.tick = now + TICK;
            self.news.extend(self.board.expire(now));
            self.board.count(world.meshed_pods());
        }
        (std::mem::take(&mut self.news), through)
    }
}
