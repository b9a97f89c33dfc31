//! Sums over the threads, and their text form.

use std::{collections::BTreeMap, fmt, sync::atomic::Ordering::Relaxed, time::Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
};

use super::{
    BUCKETS, Entry, Family, Kind, Metrics, SEPARATOR, SERIES_PER_FAMILY, Series, join, lock, second,
};

/// The sum of one series over the threads.
#[derive(Debug)]
enum Sum {
    Counter(u64),
    Gauge(i64),
    Histogram(Vec<u64>, u64),
}

type Sums = BTreeMap<&'static str, (&'static Family, BTreeMap<Box<str>, Sum>)>;

impl Metrics {
    fn sum(&self) -> Sums {
        let mut sums = Sums::new();
        let now = second(Instant::now());
        for recorder in lock(&self.recorders).iter() {
            for (name, table) in &mut lock(&recorder.tables).families {
                table.expire(now);
                let (_, family) = sums
                    .entry(*name)
                    .or_insert_with(|| (table.family, BTreeMap::new()));
                for (labels, Entry { series, .. }) in &table.series {
                    match family.get_mut(labels) {
                        Some(sum) => sum.add(series),
                        None => {
                            let mut sum = Sum::zero(table.family.kind);
                            sum.add(series);
                            family.insert(labels.clone(), sum);
                        }
                    }
                }
            }
        }
        if let Some(known) = self.known.get() {
            let mut shown = BTreeMap::<Box<str>, i64>::new();
            (known.each)(&mut |labels| {
                let mut key = String::new();
                if shown.len() < SERIES_PER_FAMILY {
                    join(&mut key, labels);
                } else {
                    join(&mut key, &vec!["other"; labels.len()]);
                }
                *shown.entry(key.into()).or_default() += 1;
            });
            let shown = shown
                .into_iter()
                .map(|(key, count)| (key, Sum::Gauge(count)));
            sums.insert(known.family.name, (known.family, shown.collect()));
        }
        sums
    }
}

impl Sum {
    fn zero(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0),
            Kind::Gauge => Self::Gauge(0),
            Kind::Histogram => Self::Histogram(vec![0; BUCKETS.len() + 1], 0),
        }
    }

    fn add(&mut self, series: &Series) {
        match (self, series) {
            (Self::Counter(sum), Series::Counter(counter)) => *sum += counter.get(),
            (Self::Gauge(sum), Series::Gauge(gauge)) => *sum += gauge.0.load(Relaxed),
            (Self::Histogram(buckets, nanos), Series::Histogram(histogram)) => {
                for (sum, cell) in buckets.iter_mut().zip(&histogram.0.buckets) {
                    *sum += cell.load(Relaxed);
                }
                *nanos += histogram.0.nanos.load(Relaxed);
            }
            _ => {}
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(value) => {
                encoder.encode_counter::<[(&str, &str); 0], _, f64>(value, None)
            }
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Histogram(buckets, nanos) => {
                let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
                let pairs: Vec<_> = bounds.zip(buckets.iter().copied()).collect();
                encoder.encode_histogram::<[(&str, &str); 0]>(
                    *nanos as f64 / 1e9,
                    buckets.iter().sum(),
                    &pairs,
                    None,
                )
            }
        }
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, (family, series)) in self.sum() {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut described = encoder.encode_descriptor(name, family.help, None, kind)?;
            for (values, sum) in series {
                let labels: Vec<(&str, &str)> = family
                    .labels
                    .iter()
                    .copied()
                    .zip(values.split(SEPARATOR))
                    .collect();
                sum.encode(described.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
