use super::*;
use crate::observe::families::{
    CONFIG_INFO, CONFIG_RELOADS, REQUEST_BYTES, REQUEST_DURATION, REQUESTS_ACTIVE, SERIES_OVERFLOWS,
};

#[test]
fn a_scrape_sums_what_the_threads_counted() {
    let metrics = Metrics::default();
    let recorders = [metrics.recorder(), metrics.recorder()];
    for (n, recorder) in recorders.iter().enumerate() {
        let labels = ["outbound", "reviews", "shop"];
        recorder.counter(&REQUEST_BYTES, &labels).add(10 + n as u64);
        recorder.gauge(&REQUESTS_ACTIVE, &["outbound"]).add(1);
        let labels = [
            "outbound", "shop", "frontend", "reviews", "shop", "http/1.1", "200", "-",
        ];
        let histogram = recorder.histogram(&REQUEST_DURATION, &labels);
        histogram.observe(Duration::from_millis(3));
        histogram.observe(Duration::from_secs(60));
    }
    let text = metrics.encode().unwrap();
    let has = |line: &str| assert!(text.contains(line), "{line} in\n{text}");
    has(
        r#"weft_request_bytes_total{direction="outbound",destination_service="reviews",destination_namespace="shop"} 21"#,
    );
    has(r#"weft_requests_active{direction="outbound"} 2"#);
    has(r#"le="0.005",direction="outbound""#);
    has("weft_request_duration_seconds_count");
    has(r#"le="+Inf""#);
    let bucket = text
        .lines()
        .find(|line| line.contains(r#"le="0.005""#))
        .unwrap();
    assert!(bucket.ends_with(" 2"), "buckets are cumulative: {bucket}");
}

#[test]
fn what_no_longer_fits_is_counted_under_other() {
    let metrics = Metrics::default();
    let recorder = metrics.recorder();
    for n in 0..SERIES_PER_FAMILY + 10 {
        let labels = ["outbound", &n.to_string(), "shop"];
        recorder.counter(&REQUEST_BYTES, &labels).inc();
    }
    let other = recorder.counter(&REQUEST_BYTES, &["other", "other", "other"]);
    assert_eq!(other.get(), 10);
    let overflows = recorder.counter(&SERIES_OVERFLOWS, &["weft_request_bytes"]);
    assert_eq!(overflows.get(), 10);
    // What was there before goes on being counted by name.
    recorder
        .counter(&REQUEST_BYTES, &["outbound", "0", "shop"])
        .inc();
    let known = recorder.counter(&REQUEST_BYTES, &["outbound", "0", "shop"]);
    assert_eq!(known.get(), 2);
}

#[test]
fn label_values_cannot_break_the_text_form() {
    let metrics = Metrics::default();
    let labels = ["outbound", "a\"} 1\nweft_fake 1", "shop\\"];
    metrics.recorder().counter(&REQUEST_BYTES, &labels).inc();
    let text = metrics.encode().unwrap();
    assert!(
        text.lines().all(|line| !line.starts_with("weft_fake")),
        "{text}"
    );
}

#[test]
fn a_removed_series_is_gone_from_the_scrape() {
    let metrics = Metrics::default();
    let recorder = metrics.recorder();
    recorder.gauge(&REQUESTS_ACTIVE, &["gateway"]).set(1);
    recorder.remove(&REQUESTS_ACTIVE, &["gateway"]);
    assert!(!metrics.encode().unwrap().contains("gateway"));
}

#[test]
fn series_of_traffic_end_when_nothing_was_counted_for_long_and_nobody_holds_them() {
    let metrics = Metrics::default();
    let recorder = metrics.recorder();
    let count = |name: &str| {
        let counter = recorder.counter(&REQUEST_BYTES, &["outbound", name, "shop"]);
        counter.inc();
        counter
    };
    let expire_at = |now: Instant| {
        for table in lock(&recorder.tables).families.values_mut() {
            table.expire(second(now));
        }
        metrics.encode().unwrap()
    };
    let held = count("held");
    count("quiet");
    count("busy");
    recorder.counter(&CONFIG_RELOADS, &["loaded"]).inc();
    let begin = Instant::now();
    expire_at(begin);
    count("busy");
    expire_at(begin + IDLE_SERIES / 2);
    let text = expire_at(begin + IDLE_SERIES);
    assert!(!text.contains("quiet"), "{text}");
    for kept in ["busy", "held", r#"result="loaded""#] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    drop(held);
    assert!(!expire_at(begin + IDLE_SERIES * 2).contains("held"));
}

#[test]
fn what_is_known_elsewhere_is_shown_as_it_is_now_and_within_bounds() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let count = std::sync::Arc::new(AtomicUsize::new(1));
    let metrics = Metrics::default();
    let now = count.clone();
    metrics.show(&CONFIG_INFO, move |show| {
        for number in 0..now.load(Ordering::Relaxed) {
            show(&["mesh", &format!("digest-{number}")]);
        }
    });
    let lines = || {
        let text = metrics.encode().unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("weft_config_info{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(),
        [r#"weft_config_info{document="mesh",digest="digest-0"} 1"#]
    );
    count.store(0, Ordering::Relaxed);
    assert!(lines().is_empty());
    count.store(SERIES_PER_FAMILY + 2, Ordering::Relaxed);
    let bounded = lines();
    assert_eq!(bounded.len(), SERIES_PER_FAMILY + 1);
    let beyond = r#"weft_config_info{document="other",digest="other"} 2"#;
    assert!(bounded.iter().any(|line| line == beyond));
}
