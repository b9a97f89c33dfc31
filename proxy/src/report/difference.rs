use std::collections::{BTreeMap, BTreeSet};

use weft_engine::{
    documents::DocumentName,
    report::{Active, Report},
};

use crate::config::ActiveDocument;

/// The text of a refusal that is told.
const REASON: usize = 300;

/// What is active, as it is told.
pub(super) type Snapshot = BTreeMap<DocumentName, Active>;

/// What of the active documents is told.
pub(super) fn snapshot(active: BTreeMap<DocumentName, ActiveDocument>) -> Snapshot {
    active
        .into_iter()
        .map(|(name, document)| {
            let rejected = document.rejected;
            let digest = match document.digest {
                nothing if nothing.is_empty() => Active::NOTHING.to_owned(),
                digest => digest,
            };
            let active = Active {
                digest,
                rejected: rejected.map(|why| why.chars().take(REASON).collect()),
            };
            (name, active)
        })
        .collect()
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// Something that is told with the next report, within seconds.
    Late,
    /// Something that a status waits for.
    Pressing,
}

/// What the operator knows of us, as far as it said so.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// The number of the last report.
    sequence: u64,
    /// What was last taken, and under which number; `None`: nothing, or it is in doubt.
    taken: Option<(u64, Snapshot)>,
}

impl Thread {
    /// The next report; without anything in it where nothing changed.
    pub(super) fn next(&mut self, pod: &str, boot: &str, now: &Snapshot) -> Report {
        self.sequence += 1;
        let mut report = Report {
            pod: pod.to_owned(),
            boot: boot.to_owned(),
            sequence: self.sequence,
            ..Report::default()
        };
        match &self.taken {
            None => report.active.clone_from(now),
            Some((sequence, before)) => {
                report.base = Some(*sequence);
                report.active = now
                    .iter()
                    .filter(|(name, active)| before.get(*name) != Some(*active))
                    .map(|(name, active)| (name.clone(), active.clone()))
                    .collect();
                let gone = before.keys().filter(|name| !now.contains_key(*name));
                report.gone = gone.cloned().collect::<BTreeSet<_>>();
            }
        }
        report
    }

    /// What there is to tell.
    pub(super) fn news(&self, now: &Snapshot) -> News {
        let Some((_, taken)) = &self.taken else {
            return News::Pressing;
        };
        let news = now
            .iter()
            .filter(|(name, active)| taken.get(*name) != Some(*active))
            .map(|(name, _)| name)
            .chain(taken.keys().filter(|name| !now.contains_key(*name)));
        let mut kind = News::None;
        for name in news {
            if !name.is_told_late() {
                return News::Pressing;
            }
            kind = News::Late;
        }
        kind
    }

    /// The last report was taken.
    pub(super) fn took(&mut self, told: Snapshot) {
        self.taken = Some((self.sequence, told));
    }

    /// It is not known what was taken: everything is told next.
    pub(super) fn lose(&mut self) {
        self.taken = None;
    }
}
