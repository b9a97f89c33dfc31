use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use weft_engine::{
    compile::{CompiledRetry, CompiledService},
    documents::{
        Backend, HttpAction, HttpRule, Retry, RetryOn, RouteScope, ServiceDocument, ServicePort,
    },
};

use super::{Next, Retries, backoff};
use crate::{http::attempt::Failure, upstream::UpstreamError};

/// Compiles a retry the way the proxy gets it.
fn compiled(retry: Retry) -> CompiledRetry {
    let rule = HttpRule {
        id: "shop/reviews/0".to_owned(),
        hostnames: Vec::new(),
        matches: Vec::new(),
        request_headers: Default::default(),
        response_headers: Default::default(),
        rewrite: None,
        action: HttpAction::Forward(vec![Backend::default()]),
        timeouts: Default::default(),
        retry: Some(retry),
    };
    let document = ServiceDocument {
        namespace: "shop".to_owned(),
        name: "reviews".to_owned(),
        ports: vec![ServicePort {
            port: 80,
            http: vec![RouteScope {
                client_namespace: None,
                rules: vec![rule],
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let (service, problems) = CompiledService::compile(&document, "shop");
    assert_eq!(problems, []);
    let headers = HeaderMap::new();
    let facts = weft_engine::decide::HttpFacts {
        method: "GET",
        authority: "reviews",
        path_and_query: "/",
        headers: &headers,
    };
    let peer = weft_engine::decide::Peer {
        address: [127, 0, 0, 1].into(),
        identity: None,
        workload: None,
    };
    let scope = weft_engine::decide::Scope::Outbound(service.port(80).unwrap());
    let decision = weft_engine::decide::decide_http(scope, &facts, &peer, &mut ());
    decision.rule().unwrap().retry.as_deref().unwrap().clone()
}

fn on(conditions: &[RetryOn]) -> CompiledRetry {
    compiled(written(conditions))
}

fn written(conditions: &[RetryOn]) -> Retry {
    Retry {
        attempts: 2,
        on: conditions.to_vec(),
        methods: Vec::new(),
        backoff_base: 25,
        backoff_max: 250,
    }
}

fn is_again(next: Next) -> bool {
    matches!(next, Next::Again(_))
}

fn no_connection() -> Failure {
    Failure::Upstream(UpstreamError::Dial(
        crate::upstream::pool::DialError::GivenUp(([127, 0, 0, 1], 1).into()),
    ))
}

#[test]
fn a_named_status_is_retried_as_often_as_the_rule_says() {
    let rule = on(&[RetryOn::Status(503)]);
    let mut retries = Retries::new(Some(&rule), Method::GET, false);
    let headers = HeaderMap::new();
    let mut next = || retries.after_response(StatusCode::SERVICE_UNAVAILABLE, &headers);
    assert!(is_again(next()));
    assert!(is_again(next()));
    assert_eq!(next(), Next::Stop);
}

#[test]
fn another_status_is_handed_on() {
    let rule = on(&[RetryOn::Status(503)]);
    let mut retries = Retries::new(Some(&rule), Method::GET, false);
    let headers = HeaderMap::new();
    assert_eq!(
        retries.after_response(StatusCode::INTERNAL_SERVER_ERROR, &headers),
        Next::Stop
    );
}

#[test]
fn a_post_is_not_repeated_unless_the_rule_names_it() {
    let headers = HeaderMap::new();
    let rule = on(&[RetryOn::GatewayError]);
    let mut retries = Retries::new(Some(&rule), Method::POST, false);
    assert_eq!(
        retries.after_response(StatusCode::SERVICE_UNAVAILABLE, &headers),
        Next::Stop
    );
    let rule = compiled(Retry {
        methods: vec!["POST".to_owned()],
        ..written(&[RetryOn::GatewayError])
    });
    let mut retries = Retries::new(Some(&rule), Method::POST, false);
    assert!(is_again(
        retries.after_response(StatusCode::SERVICE_UNAVAILABLE, &headers)
    ));
}

#[test]
fn what_was_never_sent_is_retried_whatever_the_method() {
    let rule = on(&[RetryOn::ConnectFailure]);
    let mut retries = Retries::new(Some(&rule), Method::POST, false);
    assert!(is_again(retries.after_failure(&no_connection(), false)));
}

#[test]
fn without_a_rule_other_endpoints_are_tried_at_once_and_five_times_at_most() {
    let mut retries = Retries::new(None, Method::POST, false);
    assert_eq!(
        retries.after_failure(&no_connection(), false),
        Next::Again(Duration::ZERO)
    );
    let mut waited = Duration::ZERO;
    for _ in 0..4 {
        match retries.after_failure(&no_connection(), false) {
            Next::Again(wait) => waited += wait,
            Next::Stop => panic!("stopped early"),
        }
    }
    assert!(waited <= Duration::from_millis(375), "{waited:?}");
    assert_eq!(retries.after_failure(&no_connection(), false), Next::Stop);
}

#[test]
fn connections_that_time_out_are_not_waited_for_five_times() {
    let timeout = Failure::Upstream(UpstreamError::Dial(
        crate::upstream::pool::DialError::Timeout(
            ([127, 0, 0, 1], 1).into(),
            Duration::from_secs(1),
        ),
    ));
    let mut retries = Retries::new(None, Method::POST, false);
    let again = std::iter::repeat_with(|| retries.after_failure(&timeout, false));
    assert_eq!(again.take(6).filter(|next| is_again(*next)).count(), 3);
}

#[test]
fn what_a_proxy_refused_for_its_application_is_tried_elsewhere_before_a_rule_counts_it() {
    let rule = on(&[RetryOn::Status(503)]);
    let headers = HeaderMap::new();
    let mut refused = Retries::new(Some(&rule), Method::GET, false);
    let mut next = || refused.after_refusal(StatusCode::SERVICE_UNAVAILABLE, &headers);
    assert_eq!(next(), Next::Again(Duration::ZERO));
    // Four more of its own, and the two of the rule.
    assert_eq!((0..6).filter(|_| is_again(next())).count(), 6);
    assert_eq!(next(), Next::Stop);
}

#[test]
fn time_outs_and_full_pools_are_not_retried_without_a_rule() {
    let mut retries = Retries::new(None, Method::GET, false);
    for failure in [
        Failure::TimeoutRequest,
        Failure::TimeoutBackend,
        Failure::TimeoutIdle,
        Failure::Upstream(UpstreamError::Overflow("maxRequests")),
    ] {
        assert_eq!(retries.after_failure(&failure, true), Next::Stop);
    }
}

#[test]
fn unavailable_calls_are_repeated_where_the_rule_asks_for_it() {
    let rule = on(&[RetryOn::Unavailable]);
    let mut retries = Retries::new(Some(&rule), Method::POST, true);
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", "14".parse().unwrap());
    assert!(is_again(retries.after_response(StatusCode::OK, &headers)));
    headers.insert("grpc-status", "5".parse().unwrap());
    assert_eq!(retries.after_response(StatusCode::OK, &headers), Next::Stop);
}

#[test]
fn retry_after_is_waited_for_when_it_is_short() {
    let rule = on(&[RetryOn::Status(503)]);
    let mut retries = Retries::new(Some(&rule), Method::GET, false);
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "1".parse().unwrap());
    assert_eq!(
        retries.after_response(StatusCode::SERVICE_UNAVAILABLE, &headers),
        Next::Again(Duration::from_secs(1))
    );
    headers.insert("retry-after", "60".parse().unwrap());
    assert_eq!(
        retries.after_response(StatusCode::SERVICE_UNAVAILABLE, &headers),
        Next::Stop
    );
}

#[test]
fn the_backoff_doubles_up_to_its_maximum() {
    let rule = on(&[RetryOn::Status(503)]);
    let at = |retries| backoff(&rule, retries, 1.0).as_millis();
    assert_eq!(
        [at(0), at(1), at(2), at(3), at(4), at(99)],
        [25, 50, 100, 200, 250, 250]
    );
    assert_eq!(backoff(&rule, 3, 0.0), Duration::ZERO);
}
