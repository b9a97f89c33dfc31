use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// What the operator counts. Cheap to clone: every clone counts in the same place.
///
/// The label sets are bounded by construction: kinds of objects and kinds of documents.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Documents stored, by kind.
    pub documents_written: Family<DocumentKind, Counter>,
    /// Documents withdrawn, by kind.
    pub documents_withdrawn: Family<DocumentKind, Counter>,
    /// Bytes of documents stored.
    pub document_bytes: Counter,
    /// Writes of documents or statuses that failed and are tried again.
    pub write_failures: Counter,
    /// Statuses written.
    pub statuses_written: Counter,
    /// Time to lower one key.
    pub lowering_seconds: Histogram,
    /// Keys that wait to be lowered.
    pub dirty_keys: Gauge,
    /// Changes that wait to be applied to the world.
    pub queue_depth: Gauge,
    /// Objects with a problem of severity Error.
    pub objects_with_problems: Gauge,
    /// Lists that were begun again after the first, by kind.
    pub watch_restarts: Family<ObjectKind, Counter>,
    /// Errors of watches, by kind.
    pub watch_errors: Family<ObjectKind, Counter>,
    /// 1 while this operator leads.
    pub leader: Gauge,
    /// Accounts that are to have an identity.
    pub accounts: Gauge,
    /// Identities issued.
    pub identities_issued: Counter,
    /// Identities that could not be issued and are tried again.
    pub identity_failures: Counter,
    /// When the CA ends.
    pub authority_expiry: Gauge,
    /// What the webhooks answered.
    pub admissions: Family<Admission, Counter>,
    /// Proxies, by how they stand to what is published.
    pub proxies: Family<ProxyState, Gauge>,
    /// Reports of proxies, by what became of them.
    pub reports: Family<ReportResult, Counter>,
    /// Time from a document's publication until a proxy said that it is active.
    pub activation_seconds: Histogram,
}

/// How a proxy stands to what is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProxyState {
    /// `current`, `behind`, `refusing`, or `silent`.
    pub state: &'static str,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReportResult {
    /// `taken`, `incomplete`, `not_leading`, …
    pub result: &'static str,
}

/// An answer of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Admission {
    /// `inject` or `validate`.
    pub webhook: &'static str,
    /// `injected`, `host_network`, `refused`, …
    pub result: &'static str,
}

/// A kind of document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DocumentKind {
    /// `service`, `endpoints`, …
    pub kind: &'static str,
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObjectKind {
    /// `Service`, `VirtualRoute`, …
    pub kind: &'static str,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("weft_operator");
        let metrics = Self {
            registry: Arc::new(Registry::default()),
            documents_written: Family::default(),
            documents_withdrawn: Family::default(),
            document_bytes: Counter::default(),
            write_failures: Counter::default(),
            statuses_written: Counter::default(),
            // 20 µs to 1.3 s.
            lowering_seconds: Histogram::new(exponential_buckets(0.000_02, 3.0, 11)),
            dirty_keys: Gauge::default(),
            queue_depth: Gauge::default(),
            objects_with_problems: Gauge::default(),
            watch_restarts: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
            accounts: Gauge::default(),
            identities_issued: Counter::default(),
            identity_failures: Counter::default(),
            authority_expiry: Gauge::default(),
            admissions: Family::default(),
            proxies: Family::default(),
            reports: Family::default(),
            // 5 ms to 82 s.
            activation_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 15)),
        };
        // A counter's `_total` is added by the encoding.
        registry.register(
            "documents_written",
            "Config documents stored",
            metrics.documents_written.clone(),
        );
        registry.register(
            "documents_withdrawn",
            "Config documents withdrawn",
            metrics.documents_withdrawn.clone(),
        );
        registry.register(
            "document_bytes",
            "Bytes of config documents stored",
            metrics.document_bytes.clone(),
        );
        registry.register(
            "write_failures",
            "Writes of documents and statuses that failed and are tried again",
            metrics.write_failures.clone(),
        );
        registry.register(
            "statuses_written",
            "Statuses written",
            metrics.statuses_written.clone(),
        );
        registry.register(
            "lowering_seconds",
            "Time to lower and check one key",
            metrics.lowering_seconds.clone(),
        );
        registry.register(
            "dirty_keys",
            "Keys that wait to be lowered",
            metrics.dirty_keys.clone(),
        );
        registry.register(
            "queue_depth",
            "Changes that wait to be applied to the world",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "objects_with_problems",
            "Objects with a problem of severity Error",
            metrics.objects_with_problems.clone(),
        );
        registry.register(
            "watch_restarts",
            "Lists of a kind that were begun again",
            metrics.watch_restarts.clone(),
        );
        registry.register(
            "watch_errors",
            "Errors of a kind's watch",
            metrics.watch_errors.clone(),
        );
        registry.register(
            "leader",
            "1 while this operator leads",
            metrics.leader.clone(),
        );
        registry.register(
            "accounts",
            "Service accounts that are to have an identity",
            metrics.accounts.clone(),
        );
        registry.register(
            "identities_issued",
            "Identities issued",
            metrics.identities_issued.clone(),
        );
        registry.register(
            "identity_failures",
            "Identities that could not be issued and are tried again",
            metrics.identity_failures.clone(),
        );
        registry.register(
            "ca_expiry_timestamp_seconds",
            "When the CA's certificate ends, Unix time",
            metrics.authority_expiry.clone(),
        );
        registry.register(
            "admissions",
            "Answers of the webhooks",
            metrics.admissions.clone(),
        );
        registry.register(
            "proxies",
            "Proxies by how they stand to what is published",
            metrics.proxies.clone(),
        );
        registry.register(
            "reports",
            "Reports of proxies by what became of them",
            metrics.reports.clone(),
        );
        registry.register(
            "activation_seconds",
            "Time from a document's publication until a proxy said that it is active",
            metrics.activation_seconds.clone(),
        );
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    /// The text that a scrape gets (OpenMetrics).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail; a text cut short is refused by the scraper.
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
