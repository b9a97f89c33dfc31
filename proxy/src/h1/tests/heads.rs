//! Heads: what frames a message, and what has two readings.

use bytes::Bytes;
use http::{Method, Version};

use weft_engine::compile::Changeable;

use crate::h1::{Error, MAX_HEAD, ResponseFields, body::Framing, request, response};

fn request(head: &str) -> Result<Option<request::Received>, Error> {
    request::parse(&mut Bytes::copy_from_slice(head.as_bytes()))
}

fn post(lines: &str) -> Result<Option<request::Received>, Error> {
    request(&format!("POST /x?y HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

fn response(head: &str, method: Method) -> response::Received {
    let received = response::parse(&mut Bytes::copy_from_slice(head.as_bytes()), &method);
    received.unwrap().unwrap()
}

#[test]
fn a_request_is_taken_with_its_framing_and_no_more() {
    let mut held =
        Bytes::from_static(b"PUT /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let received = request::parse(&mut held).unwrap().unwrap();
    assert_eq!(held, "hello");
    assert_eq!(received.parts.method, Method::PUT);
    assert_eq!(received.parts.uri, "/x?y");
    assert_eq!(received.parts.headers["host"], "a");
    assert!(matches!(received.framing, Framing::Length(5)));
    assert!(received.keep_alive && !received.expects_continue);
    let mut half = Bytes::from_static(b"PUT /x?y HTTP/1.1\r\nHost: a\r\n");
    assert!(request::parse(&mut half).unwrap().is_none());
    assert_eq!(half.len(), 28, "an incomplete head stays");
}

#[test]
fn both_lengths_are_refused_in_either_order_and_any_case() {
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\nCONTENT-LENGTH: 3\r\n",
        "Transfer-Encoding:chunked\r\nX: y\r\nContent-Length:3\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n",
    ] {
        assert!(matches!(post(lines), Err(Error::Malformed(_))), "{lines}");
    }
}

#[test]
fn a_length_is_digits_and_one_number() {
    for value in [
        "",
        "+1",
        "-1",
        "1.0",
        "0x1",
        "1 0",
        "1,1",
        "1, 2",
        "18446744073709551616",
        "a",
    ] {
        let received = post(&format!("Content-Length: {value}\r\n"));
        assert!(
            matches!(received, Err(Error::Malformed(_))),
            "{value}: {received:?}"
        );
    }
    assert!(post("Content-Length: 1\r\nContent-Length: 2\r\n").is_err());
    let twice = post("Content-Length: 7\r\nContent-Length: 7\r\n")
        .unwrap()
        .unwrap();
    assert!(matches!(twice.framing, Framing::Length(7)));
    assert_eq!(
        twice.parts.headers.get_all("content-length").iter().count(),
        1
    );
    let largest = post("Content-Length: 18446744073709551615\r\n")
        .unwrap()
        .unwrap();
    assert!(matches!(largest.framing, Framing::Length(u64::MAX)));
}

#[test]
fn a_coding_that_is_not_chunked_at_last_is_refused() {
    for value in [
        "identity",
        "gzip",
        "xchunked",
        "chunked, identity",
        "\"chunked\"",
    ] {
        let received = post(&format!("Transfer-Encoding: {value}\r\n"));
        assert!(matches!(received, Err(Error::Malformed(_))), "{value}");
    }
    let received = post("Transfer-Encoding: Chunked\r\n").unwrap().unwrap();
    assert!(matches!(received.framing, Framing::Chunked(_)));
    assert!(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn connections_go_on_as_the_version_and_the_field_say() {
    let keeps = |head: &str| request(head).unwrap().unwrap().keep_alive;
    assert!(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(!keeps(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"
    ));
    assert!(!keeps(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"
    ));
    assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
    assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

#[test]
fn heads_have_a_bound() {
    let many = "X: y\r\n".repeat(129);
    assert!(matches!(post(&many), Err(Error::TooLarge)));
    let large = format!("X: {}\r\n", "y".repeat(MAX_HEAD));
    assert!(matches!(post(&large), Err(Error::TooLarge)));
}

#[test]
fn a_response_is_framed_by_request_status_and_fields() {
    let get = |head| response(head, Method::GET);
    let length = get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert!(matches!(length.framing, Framing::Length(5)) && length.keep_alive);
    let chunks = get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(matches!(chunks.framing, Framing::Chunked(_)) && chunks.keep_alive);
    let close = get("HTTP/1.1 200 OK\r\n\r\n");
    assert!(matches!(close.framing, Framing::UntilClose) && !close.keep_alive);
    for head in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ] {
        let none = get(head);
        assert!(none.framing.is_ended() && none.keep_alive, "{head}");
    }
    let head = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::HEAD);
    assert!(head.framing.is_ended() && head.keep_alive);
    assert_eq!(head.came.and_then(|came| came.length()), Some(5));
}

/// The lines of a response as it goes on.
fn passed_on(head: &'static str) -> (Vec<String>, bool) {
    let received = response(head, Method::GET);
    let wanted = response::Wanted {
        version: Version::HTTP_11,
        no_body: false,
        trailers: false,
    };
    let mut out = Vec::new();
    let came = received.came.as_ref();
    response::write(&mut out, &received.parts, came, Some(2), wanted, true);
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (lines, received.came.is_some())
}

#[test]
fn fields_that_nobody_asks_for_go_on_as_they_came() {
    let (lines, as_they_came) = passed_on(concat!(
        "HTTP/1.1 200 OK\r\nServer:  x \r\nDate: now\r\nContent-Length: 2\r\n",
        "Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a\r\nSet-Cookie:\r\n\r\n",
    ));
    assert!(as_they_came);
    let expected = [
        "HTTP/1.1 200 OK",
        "Server: x",
        "Date: now",
        "Set-Cookie: a",
        "Set-Cookie: ",
        "content-length: 2",
        "",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn fields_that_mean_something_here_are_looked_up() {
    for field in [
        "Connection: x-secret",
        "TE: trailers",
        "Upgrade: h2c",
        "Trailer: x-sum",
        "Retry-After: 1",
        "grpc-status: 14",
        "X-Weft-Repeatable: true",
        "X_Forwarded-Client_Cert: By=x",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 2\r\nContent-Length: 2",
        "Expect: 100-continue",
        "HTTP2-Settings: x",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
        let mut held = Bytes::from(head);
        let received = response::parse(&mut held, &Method::GET).unwrap().unwrap();
        assert!(received.came.is_none(), "{field}");
        assert!(!received.parts.headers.is_empty(), "{field}");
    }
}

#[test]
fn what_a_rule_changes_is_changed_in_fields_that_came() {
    let head = "HTTP/1.1 200 OK\r\nServer: x\r\nX-A: 1\r\nx-a: 2\r\nX-B: 3\r\nX-C: 4\r\n\r\n";
    let mut received = response(head, Method::GET);
    let mut map = http::HeaderMap::new();
    let mut fields = ResponseFields {
        came: received.came.as_mut(),
        map: &mut map,
    };
    let name = http::HeaderName::from_static;
    let value = http::HeaderValue::from_static;
    fields.set(&name("x-a"), &value("new"));
    fields.add(&name("x-b"), &value("more"));
    fields.remove(&name("x-c"));
    let mut out = Vec::new();
    received.came.as_ref().unwrap().write(&mut out);
    assert_eq!(out, b"Server: x\r\nX-B: 3\r\n");
    received.came.unwrap().into_map(&mut map);
    let of = |name: &str| {
        let values = map.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((of("server"), of("x-a")), (vec!["x"], vec!["new"]));
    assert_eq!((of("x-b"), of("x-c")), (vec!["3", "more"], vec![]));
}

#[test]
fn a_server_that_sends_both_lengths_gets_no_further_request() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let received = response(both, Method::GET);
    assert!(matches!(received.framing, Framing::Chunked(_)));
    assert!(!received.keep_alive && !received.parts.headers.contains_key("content-length"));
}

#[test]
fn what_is_no_response_is_refused() {
    for head in [
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let received = response::parse(&mut Bytes::from_static(head.as_bytes()), &Method::GET);
        assert!(received.is_err(), "{head}: {received:?}");
    }
}

fn written(
    status: u16,
    headers: &[(&'static str, &'static str)],
    length: Option<u64>,
    version: Version,
    no_body: bool,
) -> (String, bool) {
    let mut builder = http::Response::builder()
        .status(status)
        .header("date", "now");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let parts = builder.body(()).unwrap().into_parts().0;
    let wanted = response::Wanted {
        version,
        no_body,
        trailers: false,
    };
    let mut out = Vec::new();
    let (_, keep_alive) = response::write(&mut out, &parts, None, length, wanted, true);
    (String::from_utf8(out).unwrap(), keep_alive)
}

#[test]
fn a_response_says_how_it_ends() {
    let eleven = Version::HTTP_11;
    assert_eq!(
        written(200, &[("content-length", "9")], Some(5), eleven, false),
        (
            "HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\n".to_owned(),
            true
        ),
    );
    let (text, keep) = written(200, &[], None, eleven, false);
    assert!(text.contains("transfer-encoding: chunked") && keep);
    let (text, keep) = written(200, &[], None, Version::HTTP_10, false);
    assert!(text.contains("connection: close") && !text.contains("chunked") && !keep);
    let (text, keep) = written(200, &[], Some(5), Version::HTTP_10, false);
    assert!(text.contains("connection: keep-alive") && keep);
    let (text, keep) = written(403, &[("connection", "close")], Some(5), eleven, false);
    assert!(
        text.starts_with("HTTP/1.1 403 Forbidden\r\n")
            && text.matches("connection").count() == 1
            && !keep
    );
    // A body that does not come: its length stays where it tells of one.
    for (status, no_body, stays) in [(200, true, true), (304, false, true), (204, false, false)] {
        let (text, keep) = written(status, &[("content-length", "9")], Some(0), eleven, no_body);
        assert_eq!(
            text.contains("content-length: 9"),
            stays,
            "{status}: {text}"
        );
        assert!(!text.contains("content-length: 0") && keep, "{text}");
    }
}
