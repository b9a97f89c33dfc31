//! Heads: what frames a message, and what has two readings.

use bytes::Bytes;
use http::{Method, Version};

use crate::h1::{Error, MAX_HEAD, body::Framing, request, response};

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
    assert_eq!(head.parts.headers["content-length"], "5");
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
    let (_, keep_alive) = response::write(&mut out, &parts, length, wanted, true);
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
