use futures::StreamExt;

use crate::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Field, GOAWAY, HEADERS, PREFACE, PRIORITY,
        PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, exchange, frame, good, preface,
        request, request_with_body,
    },
    site::{HTTP2, Site, nothing_wrong},
};

/// Sends every case to every HTTP/2 door: refused, and the door serves afterwards.
async fn refused(site: &Site, cases: &[(&'static str, Vec<u8>)]) -> Vec<String> {
    let pairs = HTTP2
        .iter()
        .flat_map(|door| cases.iter().map(move |case| (*door, case)));
    futures::stream::iter(pairs)
        .map(|(door, (what, bytes))| async move {
            let answer = exchange(site.connect(door).await, bytes).await;
            if !answer.is_refusal() {
                return Some(format!("{door:?}, {what}: {answer:?}"));
            }
            let after = site.serves(door).await;
            after.err().map(|error| format!("after {what}: {error}"))
        })
        .buffer_unordered(16)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await
}

/// A good request's fields with these in place of its own, or added.
fn changed<'a>(changes: &[Field<'a>]) -> Vec<Field<'a>> {
    let mut fields = good("api.shop:80", "/public/x");
    for (name, value) in changes {
        match fields.iter_mut().find(|(own, _)| own == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

fn without(name: &str) -> Vec<u8> {
    let mut fields = changed(&[]);
    fields.retain(|(own, _)| *own != name);
    request(&fields)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_smuggle_are_refused() {
    let site = Site::open(Vec::new()).await;
    let before = site.app.count();
    let get = |changes: &[Field<'_>]| request(&changed(changes));
    let mut late = changed(&[]);
    late.insert(0, ("x", "y"));
    let mut twice = changed(&[]);
    twice.push((":path", "/admin"));
    let mut cases = vec![
        ("connection", get(&[("connection", "close")])),
        ("keep-alive", get(&[("keep-alive", "timeout=5")])),
        ("proxy-connection", get(&[("proxy-connection", "close")])),
        ("upgrade", get(&[("upgrade", "websocket")])),
        (
            "transfer-encoding",
            get(&[("transfer-encoding", "chunked")]),
        ),
        ("te of gzip", get(&[("te", "gzip")])),
        ("upper case in a name", get(&[("X-Upper", "y")])),
        ("a space in a name", get(&[("x y", "z")])),
        ("a colon in a name", get(&[("x:y", "z")])),
        ("CRLF in a name", get(&[("x: y\r\nz", "z")])),
        ("an empty name", get(&[("", "z")])),
        ("CRLF in a value", get(&[("x", "y\r\nhost: evil")])),
        ("LF in a value", get(&[("x", "y\nz")])),
        ("NUL in a value", get(&[("x", "y\0z")])),
        ("no method", without(":method")),
        ("no path", without(":path")),
        ("no scheme", without(":scheme")),
        ("no authority", without(":authority")),
        ("a path twice", request(&twice)),
        ("a pseudo-header after a field", request(&late)),
        ("an unknown pseudo-header", get(&[(":evil", "x")])),
        ("a response's pseudo-header", get(&[(":status", "200")])),
        ("an empty path", get(&[(":path", "")])),
        ("a path without a slash", get(&[(":path", "public/x")])),
        ("an absolute path", get(&[(":path", "http://evil/x")])),
        (
            "a path with a space",
            get(&[(":path", "/public/x HTTP/1.1")]),
        ),
        (
            "a path with a whole request",
            get(&[(":path", "/ HTTP/1.1\r\nhost: a\r\n\r\nGET /admin")]),
        ),
        ("a path with NUL", get(&[(":path", "/a\0b")])),
        ("an asterisk with GET", get(&[(":path", "*")])),
        ("an encoded slash", get(&[(":path", "/a%2fadmin")])),
        ("above the root", get(&[(":path", "/../admin")])),
        ("a method with a space", get(&[(":method", "GET /admin")])),
        ("an empty method", get(&[(":method", "")])),
        ("a method with CRLF", get(&[(":method", "GET\r\n")])),
        ("CONNECT", get(&[(":method", "CONNECT")])),
        (
            "extended CONNECT",
            get(&[(":method", "CONNECT"), (":protocol", "websocket")]),
        ),
        ("another scheme", get(&[(":scheme", "ftp")])),
        ("a scheme with a path", get(&[(":scheme", "http://evil/")])),
        (
            "user information",
            get(&[(":authority", "evil@api.shop:80")]),
        ),
        (
            "an authority with a path",
            get(&[(":authority", "api.shop:80/admin")]),
        ),
        (
            "an authority with a space",
            get(&[(":authority", "api.shop:80 evil")]),
        ),
        ("an empty authority", get(&[(":authority", "")])),
        ("another host", get(&[("host", "evil.test")])),
    ];
    let mut hosts = changed(&[("host", "api.shop:80")]);
    hosts.push(("host", "evil.test"));
    cases.push(("two hosts", request(&hosts)));
    nothing_wrong(refused(&site, &cases).await);
    let odd: Vec<_> = site.app.seen()[before..]
        .iter()
        .map(|request| request.uri().to_string())
        .filter(|uri| uri != "/public/good")
        .collect();
    assert_eq!(odd, [""; 0], "the application saw what was refused");
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_not_as_long_as_they_say_are_refused() {
    const HIDDEN: &[u8] = b"GET /admin/hidden HTTP/1.1\r\nHost: api.shop:80\r\n\r\n";
    let site = Site::open(Vec::new()).await;
    let post = |length: &str| {
        let mut fields = changed(&[(":method", "POST")]);
        fields.push(("content-length", length));
        request_with_body(&fields, HIDDEN)
    };
    let mut two = changed(&[(":method", "POST"), ("content-length", "0")]);
    two.push(("content-length", "50"));
    let cases = [
        ("length 0 and a body", post("0")),
        ("less than the body", post("5")),
        ("more than the body", post("5000")),
        ("a list", post("0, 50")),
        ("a sign", post("+50")),
        ("no number", post("many")),
        ("beyond 64 bits", post("99999999999999999999")),
        ("two lengths", request_with_body(&two, HIDDEN)),
    ];
    nothing_wrong(refused(&site, &cases).await);
    for request in site.app.seen() {
        assert!(
            !request.uri().path().contains("hidden"),
            "{}",
            request.uri()
        );
    }
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_out_of_order_and_measure_end_the_connection() {
    let site = Site::open(Vec::new()).await;
    let whole = block(&changed(&[]));
    let then = |frames: &[Vec<u8>]| [preface(), frames.concat()].concat();
    let big: String = "x".repeat(1 << 20);
    let many: Vec<Field<'_>> = std::iter::repeat_n(("x", "y"), 30_000).collect();
    let list = |fields: &[Field<'_>]| {
        let mut all = changed(&[]);
        all.extend(fields);
        let block = block(&all);
        let mut chunks = block.chunks(16_000).peekable();
        let mut bytes = preface();
        let first = chunks.next().unwrap();
        bytes.extend(frame(HEADERS, END_STREAM, 1, first));
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            bytes.extend(frame(CONTINUATION, flags, 1, chunk));
        }
        bytes
    };
    let cases = [
        ("a header list of 1 MB", list(&[("x", &big)])),
        ("30,000 fields", list(&many)),
        ("200 fields", list(&many[..200])),
        (
            "no SETTINGS",
            [PREFACE, &frame(PRIORITY, 0, 0, &[0; 5])].concat(),
        ),
        ("garbage after the preface", [PREFACE, &[0xff; 64]].concat()),
        (
            "a frame of 16 MiB",
            then(&[vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1]]),
        ),
        ("DATA on stream 0", then(&[frame(DATA, 0, 0, b"x")])),
        ("DATA on an idle stream", then(&[frame(DATA, 0, 1, b"x")])),
        ("HEADERS on stream 0", then(&[frame(HEADERS, 5, 0, &whole)])),
        (
            "HEADERS on an even stream",
            then(&[frame(HEADERS, 5, 2, &whole)]),
        ),
        (
            "CONTINUATION alone",
            then(&[frame(CONTINUATION, 4, 1, &whole)]),
        ),
        (
            "another frame in a header block",
            then(&[frame(HEADERS, 0, 1, &whole), frame(SETTINGS, 0, 0, &[])]),
        ),
        (
            "RST_STREAM on an idle stream",
            then(&[frame(RST_STREAM, 0, 1, &[0; 4])]),
        ),
        (
            "WINDOW_UPDATE of 0",
            then(&[frame(WINDOW_UPDATE, 0, 0, &[0; 4])]),
        ),
        (
            "a window beyond 2^31",
            then(&[
                frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
                frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            ]),
        ),
        (
            "SETTINGS of 5 bytes",
            then(&[frame(SETTINGS, 0, 0, &[0; 5])]),
        ),
        ("SETTINGS on a stream", then(&[frame(SETTINGS, 0, 1, &[])])),
        (
            "a window setting beyond 2^31",
            then(&[frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])]),
        ),
        ("PING of 7 bytes", then(&[frame(6, 0, 0, &[0; 7])])),
        ("GOAWAY on a stream", then(&[frame(GOAWAY, 0, 1, &[0; 8])])),
        (
            "PUSH_PROMISE",
            then(&[frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])]),
        ),
        (
            "a block that is no HPACK",
            then(&[frame(HEADERS, 5, 1, &[0xff; 40])]),
        ),
        (
            "an index that no table has",
            then(&[frame(HEADERS, 5, 1, &[0xff, 0xff, 0xff, 0x7f])]),
        ),
        (
            "a table of 256 MiB",
            then(&[frame(HEADERS, 5, 1, &[0x3f, 0xe1, 0xff, 0xff, 0x7f])]),
        ),
        (
            "padding beyond the frame",
            then(&[frame(HEADERS, 0x0d, 1, &[0xff, 0x82])]),
        ),
        (
            "a stream that depends on itself",
            then(&[frame(
                HEADERS,
                0x25,
                1,
                &[&[0, 0, 0, 1, 16], &whole[..]].concat(),
            )]),
        ),
    ];
    nothing_wrong(refused(&site, &cases).await);
    assert_eq!(site.unharmed().await, Ok(()));
}
