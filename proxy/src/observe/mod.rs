//! Metrics and the access log.

mod access_log;
pub mod families;
mod metrics;

pub use access_log::{AccessLog, AccessRecord, Destination, Towards};
pub use metrics::{Counter, Family, Gauge, Histogram, Kind, Metrics, Recorder};
