use std::time::{Duration, Instant};

use weft_engine::documents::LoadBalancing;

use super::{Candidate, PeakEwma, Picker};

struct Fake {
    name: usize,
    outstanding: u32,
    ewma: PeakEwma,
    available: bool,
}

impl Candidate for Fake {
    fn outstanding(&self) -> u32 {
        self.outstanding
    }
    fn cost(&self, now: Instant) -> f64 {
        self.ewma.cost(self.outstanding, now)
    }
    fn available(&self, _: Instant) -> bool {
        self.available
    }
}

fn fakes(count: usize, now: Instant) -> Vec<Fake> {
    (0..count)
        .map(|name| {
            let mut ewma = PeakEwma::new(now);
            ewma.observe(Duration::from_millis(10), false, now);
            Fake {
                name,
                outstanding: 0,
                ewma,
                available: true,
            }
        })
        .collect()
}

fn counts(
    picker: &Picker,
    algorithm: LoadBalancing,
    endpoints: &[Fake],
    now: Instant,
    picks: usize,
) -> Vec<usize> {
    let mut counts = vec![0; endpoints.len()];
    for _ in 0..picks {
        let picked = picker.pick(algorithm, endpoints, |_| false, now).unwrap();
        counts[picked.name] += 1;
    }
    counts
}

const ALL: [LoadBalancing; 4] = [
    LoadBalancing::RoundRobin,
    LoadBalancing::LeastRequest,
    LoadBalancing::PeakEwma,
    LoadBalancing::Random,
];

#[test]
fn no_endpoints_give_no_pick() {
    let picker = Picker::with_seed(1);
    for algorithm in ALL {
        assert!(
            picker
                .pick::<Fake>(algorithm, &[], |_| false, Instant::now())
                .is_none()
        );
    }
}

#[test]
fn round_robin_gives_each_endpoint_the_same() {
    let now = Instant::now();
    let endpoints = fakes(3, now);
    let counts = counts(
        &Picker::with_seed(1),
        LoadBalancing::RoundRobin,
        &endpoints,
        now,
        300,
    );
    assert_eq!(counts, [100, 100, 100]);
}

#[test]
fn equal_endpoints_share_evenly_under_every_algorithm() {
    let now = Instant::now();
    let endpoints = fakes(4, now);
    for algorithm in ALL {
        let counts = counts(&Picker::with_seed(7), algorithm, &endpoints, now, 8_000);
        for count in counts {
            assert!(
                (1_800..2_200).contains(&count),
                "{algorithm:?} gave {count} of 8000"
            );
        }
    }
}

#[test]
fn least_request_prefers_the_less_loaded() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    endpoints[0].outstanding = 5;
    let counts = counts(
        &Picker::with_seed(2),
        LoadBalancing::LeastRequest,
        &endpoints,
        now,
        100,
    );
    assert_eq!(counts, [0, 100]);
}

#[test]
fn peak_ewma_sends_little_to_a_slow_endpoint() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    endpoints[0]
        .ewma
        .observe(Duration::from_millis(200), false, now);
    let counts = counts(
        &Picker::with_seed(3),
        LoadBalancing::PeakEwma,
        &endpoints,
        now,
        10_000,
    );
    assert!(counts[0] < 100, "the slow endpoint got {}", counts[0]);
}

#[test]
fn a_fast_failure_does_not_look_cheap() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    for _ in 0..3 {
        endpoints[0]
            .ewma
            .observe(Duration::from_micros(50), true, now);
    }
    let counts = counts(
        &Picker::with_seed(4),
        LoadBalancing::PeakEwma,
        &endpoints,
        now,
        10_000,
    );
    assert!(counts[0] < 50, "the failing endpoint got {}", counts[0]);
}

#[test]
fn a_penalised_endpoint_is_asked_again_after_a_while() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    for _ in 0..10 {
        endpoints[0]
            .ewma
            .observe(Duration::from_micros(50), true, now);
    }
    let later = now + Duration::from_secs(70);
    endpoints[1]
        .ewma
        .observe(Duration::from_millis(10), false, later);
    let counts = counts(
        &Picker::with_seed(5),
        LoadBalancing::PeakEwma,
        &endpoints,
        later,
        1_000,
    );
    assert!(counts[0] > 100, "it got {} of 1000", counts[0]);
}

#[test]
fn a_new_endpoint_gets_one_request_until_it_answers() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    endpoints[0].ewma = PeakEwma::new(now);
    let picker = Picker::with_seed(6);
    let first = picker
        .pick(LoadBalancing::PeakEwma, &endpoints, |_| false, now)
        .unwrap();
    assert_eq!(first.name, 0);
    endpoints[0].outstanding = 1;
    let counts = counts(&picker, LoadBalancing::PeakEwma, &endpoints, now, 1_000);
    assert!(counts[0] < 10, "the unproven endpoint got {}", counts[0]);
}

#[test]
fn ejected_endpoints_get_nothing() {
    let now = Instant::now();
    let mut endpoints = fakes(3, now);
    endpoints[1].available = false;
    for algorithm in ALL {
        let counts = counts(&Picker::with_seed(8), algorithm, &endpoints, now, 300);
        assert_eq!(counts[1], 0, "{algorithm:?}");
        assert!(counts[0] > 0 && counts[2] > 0, "{algorithm:?}");
    }
}

#[test]
fn when_all_are_ejected_all_are_used() {
    let now = Instant::now();
    let mut endpoints = fakes(3, now);
    for endpoint in &mut endpoints {
        endpoint.available = false;
    }
    for algorithm in ALL {
        let counts = counts(&Picker::with_seed(9), algorithm, &endpoints, now, 300);
        assert!(counts.iter().all(|count| *count > 0), "{algorithm:?}");
    }
}

#[test]
fn a_retry_goes_elsewhere_when_there_is_an_elsewhere() {
    let now = Instant::now();
    let mut endpoints = fakes(2, now);
    for algorithm in ALL {
        let picker = Picker::with_seed(10);
        for _ in 0..50 {
            let picked = picker
                .pick(algorithm, &endpoints, |fake| fake.name == 0, now)
                .unwrap();
            assert_eq!(picked.name, 1, "{algorithm:?}");
        }
    }
    endpoints.truncate(1);
    assert!(
        Picker::with_seed(11)
            .pick(LoadBalancing::Random, &endpoints, |_| true, now)
            .is_some(),
        "the only endpoint is tried again rather than none"
    );
}
