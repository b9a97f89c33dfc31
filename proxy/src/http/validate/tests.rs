use http::{Request, Version};

use super::{MAX_HEADERS, Rejection, authority};

fn check(
    build: impl FnOnce(http::request::Builder) -> http::request::Builder,
) -> Result<String, Rejection> {
    let (parts, ()) = build(Request::builder()).body(()).unwrap().into_parts();
    authority(&parts).map(str::to_owned)
}

#[test]
fn the_host_field_is_the_authority() {
    assert_eq!(
        check(|b| b.uri("/a").header("host", "reviews:9080")).unwrap(),
        "reviews:9080"
    );
}

#[test]
fn http_1_1_wants_exactly_one_host() {
    assert_eq!(check(|b| b.uri("/a")), Err(Rejection::NoHost));
    assert_eq!(
        check(|b| b.uri("/a").header("host", "a").header("host", "a")),
        Err(Rejection::SeveralHosts)
    );
    assert_eq!(
        check(|b| b.uri("/a").version(Version::HTTP_10)).unwrap(),
        ""
    );
}

#[test]
fn an_absolute_target_must_agree_with_the_host() {
    assert_eq!(
        check(|b| b.uri("http://A:80/x").header("host", "a:80")).unwrap(),
        "A:80"
    );
    assert_eq!(
        check(|b| b.uri("http://a/x").header("host", "b")),
        Err(Rejection::HostMismatch)
    );
    assert_eq!(check(|b| b.uri("ftp://a/x")), Err(Rejection::Scheme));
}

#[test]
fn connect_is_refused() {
    assert_eq!(
        check(|b| b.method("CONNECT").uri("a:443").header("host", "a:443")),
        Err(Rejection::Connect)
    );
}

#[test]
fn only_one_chunked_coding_is_taken() {
    let with = |value: &'static str| {
        check(move |b| {
            b.uri("/")
                .header("host", "a")
                .header("transfer-encoding", value)
        })
    };
    assert!(with("Chunked").is_ok());
    assert_eq!(with("gzip, chunked"), Err(Rejection::TransferEncoding));
    assert_eq!(
        check(|b| b
            .uri("/")
            .header("host", "a")
            .header("transfer-encoding", "chunked")
            .header("transfer-encoding", "chunked")),
        Err(Rejection::TransferEncoding)
    );
}

#[test]
fn too_many_fields_are_refused() {
    let result = check(|mut b| {
        b = b.uri("/").header("host", "a");
        for n in 0..MAX_HEADERS {
            b = b.header(format!("x-{n}"), "v");
        }
        b
    });
    assert_eq!(result, Err(Rejection::TooManyHeaders));
}
