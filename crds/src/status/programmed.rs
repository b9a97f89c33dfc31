//! How far an object has come: stored, and in use by the proxies that need it.

use super::compute::{Verdict, clipped};

/// How far an object's documents have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// Not all are published yet.
    Pending,
    /// All are published; proxies are not asked what they have active.
    Published,
    /// All are published, and a new leader has not yet heard from the proxies.
    Unheard,
    /// All are published, and this is how far they have come since.
    Reached(Reach),
    /// They cannot be published; why.
    Failed(String),
}

/// How many proxies have an object's generation active, of those that have loaded a document
/// which the object has a say in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Proxies that have it active.
    pub active: usize,
    /// Proxies that have loaded such a document, in this version or an older one.
    pub total: usize,
    /// The first few that do not have it active, by name.
    pub waiting: Vec<Laggard>,
}

/// A proxy that does not have an object's generation active.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Laggard {
    /// `namespace/pod`.
    pub proxy: String,
    /// Why it refuses it; `None`: it is late.
    pub refuses: Option<String>,
}

/// Laggards that a message names.
pub const NAMED: usize = 3;

/// What is said of a refusal.
const REFUSAL: usize = 200;

impl Reach {
    /// Whether some proxy does not have it active.
    pub fn is_short(&self) -> bool {
        self.active < self.total
    }

    /// Whether some proxy refuses it: waiting will not help.
    fn is_refused(&self) -> bool {
        self.waiting.iter().any(|proxy| proxy.refuses.is_some())
    }

    fn sentence(&self) -> String {
        if self.total == 0 {
            return "published; loaded by no proxy yet".to_owned();
        }
        let mut text = format!("active on {} of {} proxies", self.active, self.total);
        let named = self.waiting.iter().take(NAMED);
        for (at, proxy) in named.enumerate() {
            text.push_str(if at == 0 { "; waiting for " } else { ", " });
            text.push_str(&proxy.proxy);
            if let Some(why) = &proxy.refuses {
                let why: String = why.chars().take(REFUSAL).collect();
                text.push_str(&format!(" (refuses it: {why})"));
            }
        }
        let behind = self.total.saturating_sub(self.active);
        let named = self.waiting.len().min(NAMED);
        if behind > named && named > 0 {
            text.push_str(&format!(" and {} more", behind - named));
        }
        text
    }
}

impl Programmed {
    /// Whether it comes right by waiting.
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::Pending | Self::Unheard => true,
            Self::Reached(reach) => reach.is_short() && !reach.is_refused(),
            Self::Published | Self::Failed(_) => false,
        }
    }

    /// `11/12`; `-` where nobody is asked, or nothing is known.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Reached(reach) => format!("{}/{}", reach.active, reach.total),
            _ => "-".to_owned(),
        }
    }

    pub(super) fn verdict(&self, accepted: &Verdict) -> Verdict {
        let (status, reason, message) = match self {
            Self::Pending => (
                false,
                "Pending",
                "its documents are being published".to_owned(),
            ),
            Self::Failed(why) => (false, "PublishFailed", clipped(why)),
            _ if !accepted.status => (false, accepted.reason, accepted.message.clone()),
            Self::Published => (true, "Programmed", "its documents are published".to_owned()),
            Self::Unheard => (
                false,
                "Pending",
                "published; a new leader has not heard from every proxy yet".to_owned(),
            ),
            Self::Reached(reach) if reach.is_refused() => {
                (false, "RefusedByProxy", clipped(&reach.sentence()))
            }
            Self::Reached(reach) if reach.is_short() => {
                (false, "PartiallyProgrammed", clipped(&reach.sentence()))
            }
            Self::Reached(reach) => (true, "Programmed", reach.sentence()),
        };
        Verdict {
            status,
            reason,
            message,
        }
    }
}
