use crate::{
    site::{Door, HTTP1, PROXIED, Site, nothing_wrong},
    wire::{Case, everywhere, exchange, refused_everywhere},
};

/// A good request with further lines in its head.
fn with(host: &str, lines: &str) -> Vec<u8> {
    format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n").into_bytes()
}

/// A request line, and a good Host.
fn line(host: &str, line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_without_measure_are_refused() {
    let cases: &[Case] = &[
        ("a header of 1 MB", |host| {
            with(host, &format!("X-Big: {}\r\n", "a".repeat(1 << 20)))
        }),
        ("a header name of 1 MB", |host| {
            with(host, &format!("{}: a\r\n", "a".repeat(1 << 20)))
        }),
        ("10,000 headers", |host| {
            let lines: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
            with(host, &lines)
        }),
        ("10,000 headers of one name", |host| {
            with(host, &"X-Same: v\r\n".repeat(10_000))
        }),
        ("10,000 empty headers", |host| {
            with(host, &"a:\r\n".repeat(10_000))
        }),
        ("a target of 1 MB", |host| {
            line(host, &format!("GET /{} HTTP/1.1", "a".repeat(1 << 20)))
        }),
        ("a query of 1 MB", |host| {
            line(host, &format!("GET /?{} HTTP/1.1", "a".repeat(1 << 20)))
        }),
        ("a method of 1 MB", |host| {
            line(host, &format!("{} / HTTP/1.1", "A".repeat(1 << 20)))
        }),
        ("a host of 1 MB", |_| with(&"a".repeat(1 << 20), "")),
    ];
    let site = Site::open(Vec::new()).await;
    nothing_wrong(refused_everywhere(&site, &HTTP1, cases).await);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_not_http_are_refused() {
    let cases: &[Case] = &[
        ("NUL in a value", |host| with(host, "X: a\0b\r\n")),
        ("NUL in a name", |host| with(host, "X\0Y: a\r\n")),
        ("CR in a value", |host| with(host, "X: a\rb\r\n")),
        ("CR in a name", |host| with(host, "X\rY: a\r\n")),
        ("CR before the colon", |host| with(host, "X\r: a\r\n")),
        ("ESC in a value", |host| with(host, "X: a\x1bb\r\n")),
        ("DEL in a value", |host| with(host, "X: a\x7fb\r\n")),
        ("space in a name", |host| with(host, "X Y: a\r\n")),
        ("space before the colon", |host| with(host, "X : a\r\n")),
        ("tab before the colon", |host| with(host, "X\t: a\r\n")),
        ("non-ASCII in a name", |host| with(host, "X\u{e9}: a\r\n")),
        ("an empty name", |host| with(host, ": a\r\n")),
        ("no colon", |host| with(host, "just words\r\n")),
        ("a folded value", |host| with(host, "X: a\r\n b\r\n")),
        ("a value folded by a tab", |host| {
            with(host, "X: a\r\n\tb\r\n")
        }),
        ("a folded first line", |host| {
            format!("GET / HTTP/1.1\r\n X: a\r\nHost: {host}\r\n\r\n").into_bytes()
        }),
        ("a space before the request line", |host| {
            line(host, " GET / HTTP/1.1")
        }),
        ("two spaces after the method", |host| {
            line(host, "GET  / HTTP/1.1")
        }),
        ("a tab after the method", |host| {
            line(host, "GET\t/ HTTP/1.1")
        }),
        ("a space in the target", |host| {
            line(host, "GET /a b HTTP/1.1")
        }),
        ("NUL in the target", |host| line(host, "GET /a\0b HTTP/1.1")),
        ("CR in the target", |host| line(host, "GET /a\rb HTTP/1.1")),
        ("no target", |host| line(host, "GET HTTP/1.1")),
        ("no method", |host| line(host, "/ HTTP/1.1")),
        ("a method with a separator", |host| {
            line(host, "G(T / HTTP/1.1")
        }),
        ("a method with NUL", |host| line(host, "GE\0T / HTTP/1.1")),
        ("HTTP/0.9", |_| b"GET /public/x\r\n\r\n".to_vec()),
        ("HTTP/1.2", |host| line(host, "GET / HTTP/1.2")),
        ("HTTP/2.0 in words", |host| line(host, "GET / HTTP/2.0")),
        ("HTTP/1.10", |host| line(host, "GET / HTTP/1.10")),
        ("HTTP in lower case", |host| line(host, "GET / http/1.1")),
        ("another protocol", |host| line(host, "GET / RTSP/1.0")),
        ("a bad HTTP/2 preface", |_| {
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()
        }),
    ];
    let site = Site::open(Vec::new()).await;
    nothing_wrong(refused_everywhere(&site, &HTTP1, cases).await);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_and_hosts_with_two_readings_are_refused() {
    let cases: &[Case] = &[
        ("no Host", |_| b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("two Hosts", |host| with(host, &format!("Host: {host}\r\n"))),
        ("two different Hosts", |host| {
            with(host, "Host: other.shop\r\n")
        }),
        ("eleven Hosts", |host| with(host, &"Host: a\r\n".repeat(10))),
        ("a list of hosts", |host| {
            with(&format!("{host}, other.shop"), "")
        }),
        ("user information in Host", |host| {
            with(&format!("evil@{host}"), "")
        }),
        ("a path in Host", |host| with(&format!("{host}/admin"), "")),
        ("a query in Host", |host| with(&format!("{host}?x"), "")),
        ("a space in Host", |_| with("api.shop evil", "")),
        ("a NUL in Host", |_| with("api.shop\0", "")),
        ("percent-encoding in Host", |_| with("api%2eshop", "")),
        ("non-ASCII in Host", |_| with("\u{e4}pi.shop", "")),
        ("a port of letters", |_| with("api.shop:http", "")),
        ("a port beyond 65535", |_| with("api.shop:99999", "")),
        ("a negative port", |_| with("api.shop:-80", "")),
        ("two ports", |_| with("api.shop:80:80", "")),
        ("an open bracket", |_| with("[::1", "")),
        ("absolute form to another host", |host| {
            line(host, "GET http://other.shop/public/x HTTP/1.1")
        }),
        ("absolute form with user information", |host| {
            line(host, &format!("GET http://evil@{host}/public/x HTTP/1.1"))
        }),
        ("absolute form of FTP", |host| {
            line(host, &format!("GET ftp://{host}/public/x HTTP/1.1"))
        }),
        ("absolute form of a file", |host| {
            line(host, "GET file:///etc/passwd HTTP/1.1")
        }),
        ("authority form with GET", |host| {
            line(host, &format!("GET {host} HTTP/1.1"))
        }),
        ("asterisk form with GET", |host| {
            line(host, "GET * HTTP/1.1")
        }),
        ("a relative target", |host| {
            line(host, "GET public/x HTTP/1.1")
        }),
        ("CONNECT", |host| {
            line(host, &format!("CONNECT {host} HTTP/1.1"))
        }),
        ("CONNECT elsewhere", |host| {
            line(host, "CONNECT 127.0.0.1:22 HTTP/1.1")
        }),
        ("above the root", |host| {
            line(host, "GET /../admin HTTP/1.1")
        }),
        ("above the root, encoded", |host| {
            line(host, "GET /%2e%2e/admin HTTP/1.1")
        }),
        ("an encoded slash", |host| line(host, "GET /a%2fb HTTP/1.1")),
        ("an encoded backslash", |host| {
            line(host, "GET /a%5cb HTTP/1.1")
        }),
        ("a backslash", |host| line(host, "GET /a\\b HTTP/1.1")),
        ("an encoded NUL", |host| line(host, "GET /a%00b HTTP/1.1")),
        ("an encoded CRLF", |host| {
            line(host, "GET /a%0d%0ab HTTP/1.1")
        }),
        ("half an encoding", |host| line(host, "GET /a%2 HTTP/1.1")),
        ("no encoding", |host| line(host, "GET /a%zz HTTP/1.1")),
    ];
    let site = Site::open(Vec::new()).await;
    let before = site.app.count();
    let wrong = refused_everywhere(&site, &PROXIED, cases).await;
    nothing_wrong(wrong);
    let odd: Vec<_> = site.app.seen()[before..]
        .iter()
        .map(|request| request.uri().to_string())
        .filter(|uri| uri != "/public/good")
        .collect();
    assert_eq!(odd, [""; 0], "the application saw what was refused");
    assert_eq!(site.unharmed().await, Ok(()));
}

/// What RFC 9112 lets a server take has one meaning: one answer, one request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lenient_spellings_are_refused_or_mean_one_thing() {
    let cases: &[Case] = &[
        ("LF only", |host| {
            format!("GET /public/x HTTP/1.1\nHost: {host}\n\n").into_bytes()
        }),
        ("LF here and there", |host| {
            format!("GET /public/x HTTP/1.1\r\nHost: {host}\nX: y\r\n\n").into_bytes()
        }),
        ("empty lines first", |host| {
            let mut bytes = b"\r\n\r\n\r\n".to_vec();
            bytes.extend(with(host, ""));
            bytes
        }),
        ("HTTP/1.0", |host| {
            format!("GET /public/x HTTP/1.0\r\nHost: {host}\r\n\r\n").into_bytes()
        }),
        ("HTTP/1.0 without Host", |_| {
            b"GET /public/x HTTP/1.0\r\n\r\n".to_vec()
        }),
        ("double slashes", |host| {
            line(host, "GET //public///x HTTP/1.1")
        }),
        ("dot segments", |host| {
            line(host, "GET /a/./../public/x HTTP/1.1")
        }),
        ("an unknown method", |host| {
            line(host, "BREW /public/x HTTP/1.1")
        }),
        ("a method in lower case", |host| {
            line(host, "get /public/x HTTP/1.1")
        }),
        ("an empty Host", |_| with("", "")),
        ("Expect that nobody knows", |host| {
            with(host, "Expect: magic\r\n")
        }),
    ];
    let site = Site::open(Vec::new()).await;
    let one_answer = |answer: &crate::wire::Answer| {
        let [status] = answer.statuses[..] else {
            return answer.is_refusal();
        };
        status == 200 || crate::wire::is_refusal(status)
    };
    nothing_wrong(everywhere(&site, &PROXIED, cases, one_answer).await);
    for request in site.app.seen() {
        assert!(
            matches!(request.uri().path(), "/public/x" | "/public/good"),
            "{}",
            request.uri()
        );
    }
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_answers_no_web_page() {
    let site = Site::open(Vec::new()).await;
    for (what, request) in [
        (
            "a rebound name",
            "GET /config HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        ),
        ("no name", "GET /config HTTP/1.1\r\n\r\n"),
        (
            "another origin",
            "POST /quitquitquit HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.test\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "an image of a page",
            "GET /logging?level=off HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        ),
    ] {
        let answer = exchange(site.connect(Door::Admin).await, request.as_bytes()).await;
        assert_eq!(answer.statuses, [403], "{what}");
    }
    assert_eq!(site.unharmed().await, Ok(()));
}
