use http::{HeaderMap, HeaderValue, Request, Version, request::Parts};

use super::{HopByHop, append_address, request_id, strip_request, strip_response, trace_id};

fn parts(headers: &[(&str, &str)], version: Version) -> Parts {
    let mut builder = Request::builder().uri("/").version(version);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

#[test]
fn fields_that_connection_names_end_here() {
    let mut parts = parts(
        &[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "x"),
            ("te", "gzip"),
            ("x-kept", "1"),
        ],
        Version::HTTP_11,
    );
    assert_eq!(strip_request(&mut parts), HopByHop::default());
    let names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-kept"]);
}

#[test]
fn connection_cannot_take_the_host_or_the_length_away() {
    let mut parts = parts(
        &[
            ("connection", "host, content-length"),
            ("host", "a"),
            ("content-length", "3"),
        ],
        Version::HTTP_11,
    );
    strip_request(&mut parts);
    assert_eq!(parts.headers.len(), 2);
}

#[test]
fn a_forged_client_certificate_field_is_removed() {
    let mut parts = parts(
        &[("x-forwarded-client-cert", "URI=spiffe://x")],
        Version::HTTP_2,
    );
    strip_request(&mut parts);
    assert!(parts.headers.is_empty());
}

#[test]
fn a_websocket_upgrade_is_recognised_and_h2c_is_not() {
    let upgrade =
        |headers: &[(&str, &str)], version| strip_request(&mut parts(headers, version)).upgrade;
    let websocket = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    assert_eq!(upgrade(&websocket, Version::HTTP_11).unwrap(), "websocket");
    assert_eq!(upgrade(&websocket, Version::HTTP_10), None);
    assert_eq!(upgrade(&[("upgrade", "websocket")], Version::HTTP_11), None);
    for protocol in ["h2c", "H2C", "websocket, h2c"] {
        let h2c = [
            ("connection", "upgrade, http2-settings"),
            ("upgrade", protocol),
        ];
        assert_eq!(upgrade(&h2c, Version::HTTP_11), None, "{protocol}");
    }
    let body = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("content-length", "5"),
    ];
    assert_eq!(upgrade(&body, Version::HTTP_11), None);
}

#[test]
fn te_trailers_is_remembered() {
    let mut parts = parts(&[("te", "deflate, trailers;q=0.5")], Version::HTTP_2);
    assert!(strip_request(&mut parts).trailers);
    assert!(parts.headers.is_empty());
}

#[test]
fn cookie_crumbs_become_one_field() {
    let mut parts = parts(
        &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")],
        Version::HTTP_2,
    );
    strip_request(&mut parts);
    let cookies: Vec<_> = parts.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[test]
fn a_response_loses_its_hop_by_hop_fields() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    headers.insert("server", "app".parse().unwrap());
    strip_response(&mut headers, false);
    assert_eq!(headers.len(), 1);
}

#[test]
fn the_clients_address_is_appended() {
    let mut headers = HeaderMap::new();
    append_address(&mut headers, "10.0.0.1".parse().unwrap());
    append_address(&mut headers, "::1".parse().unwrap());
    assert_eq!(headers["x-forwarded-for"], "10.0.0.1, ::1");
}

#[test]
fn request_ids_are_version_4_uuids() {
    let id = request_id();
    assert_eq!(id.len(), 36);
    assert_eq!(id[14], b'4');
    assert!(matches!(id[19], b'8' | b'9' | b'a' | b'b'));
    assert_ne!(id, request_id());
}

#[test]
fn the_trace_id_is_taken_from_traceparent() {
    let trace = HeaderValue::from_static;
    let whole = trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(trace_id(&whole), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(trace_id(&trace("00-xyz")), None);
}

#[test]
fn trailers_carry_nothing_that_belongs_in_a_head() {
    let mut trailers = HeaderMap::new();
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "cookie",
        "x-forwarded-client-cert",
        "x_forwarded_client_cert",
        "x-forwarded-for",
        "x-weft-flag",
        "grpc-status",
        "x-checksum",
    ] {
        trailers.insert(
            http::HeaderName::from_static(name),
            HeaderValue::from_static("1"),
        );
    }
    super::strip_trailers(&mut trailers);
    let mut left: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["grpc-status", "x-checksum"]);
}
