use std::time::Duration;

use super::{Measured, NAMES, SizeMeasured, Spread};
use crate::{figures::Figures, reach};

#[test]
fn the_spread_is_that_of_the_nearest_rank() {
    let times = (1..=200).rev().map(Duration::from_millis).collect();
    let spread = Spread::of(times);
    assert_eq!((spread.p50, spread.p99, spread.most), (100.0, 198.0, 200.0));
    assert_eq!(Spread::of(Vec::new()), Spread::default());
}

#[test]
fn every_figure_that_must_be_shown_is_kept() {
    let size = |services| {
        let mut size = SizeMeasured {
            services,
            resident_kib: services as u64 * 20,
            ..SizeMeasured::default()
        };
        size.cold.documents = 2 * services as u64;
        size.cold.seconds = 4.0;
        size.route.active = Spread {
            p50: 20.0,
            p99: 40.0,
            most: 50.0,
        };
        (size.route.cpu_ms, size.route.documents) = (2.0, 1);
        size
    };
    let measured = Measured {
        sizes: vec![size(1000), size(10_000)],
        ..Measured::default()
    };
    let mut figures = Figures::default();
    measured.keep(&mut figures);
    assert_eq!(figures.value("cold-start-500"), Some(100.0));
    assert_eq!(figures.value("active-growth"), Some(1.0));
    let rows = reach::all(&figures).into_iter();
    assert_eq!(rows.filter(|row| row.seen.is_some()).count(), NAMES.len());
}
