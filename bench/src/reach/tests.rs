use super::*;
use crate::{figures::Figure, scenario::Scenario, statistics::Summary};

fn figure(peer: &str, cpu: f64, p99: f64) -> Figure {
    Figure {
        peer: peer.to_owned(),
        cpu: Summary::of(&[cpu]),
        p99: Some(Summary::of(&[p99])),
        ..Figure::default()
    }
}

fn row(figures: &Figures, name: &str) -> Reach {
    all(figures)
        .into_iter()
        .find(|row| row.figure == name)
        .unwrap_or_else(|| panic!("{name} is a row"))
}

#[test]
fn what_was_not_measured_falls_short() {
    let rows = all(&Figures::default());
    assert!(rows.len() > 20);
    assert!(rows.iter().all(|row| !row.holds()));
}

#[test]
fn a_ratio_beyond_its_reach_falls_short_and_one_within_holds() {
    let mut figures = Figures::default();
    let measured = [
        figure("weft", 0.40, 900.0),
        figure("haproxy", 0.34, 800.0),
        figure("envoy", 1.07, 3000.0),
        figure("no proxy", 0.0, 300.0),
    ];
    figures.put(
        Scenario::MtlsPairHttp1.section(),
        "requests",
        measured.to_vec(),
    );
    let haproxy = row(&figures, "mtls-pair-http1: CPU of weft ÷ haproxy");
    assert!(!haproxy.holds(), "{haproxy:?}");
    let envoy = row(&figures, "mtls-pair-http1: CPU of weft ÷ envoy");
    assert!(envoy.holds(), "{envoy:?}");
    // 600 µs on top of the backend's own 300, against 500 and 2,700.
    let added = row(
        &figures,
        "mtls-pair-http1: p99 added at the fixed rate, weft ÷ haproxy",
    );
    assert_eq!((added.seen, added.holds()), (Some(1.2), false));
    let added = row(
        &figures,
        "mtls-pair-http1: p99 added at the fixed rate, weft ÷ envoy",
    );
    assert!(added.holds(), "{added:?}");
}

#[test]
fn one_failed_request_is_one_too_many() {
    let mut figures = Figures::default();
    let name = "one of 1,000 services changes 10 ×/s: failed requests";
    figures.put_value("reload-failed", 0.0, "");
    assert!(row(&figures, name).holds());
    figures.put_value("reload-failed", 1.0, "");
    assert!(!row(&figures, name).holds());
}
