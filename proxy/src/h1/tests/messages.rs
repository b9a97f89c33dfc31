//! Whole exchanges, on sockets.

use std::{
    future::{pending, ready},
    io,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weft_engine::documents::ConnectionPool;

use crate::{
    connection::{Prefixed, Stream},
    h1::{Asked, Connection, End, Incoming, Patience, ReplyBody, RequestHead, SendFailure, Served},
    upstream::{UpstreamStream, pool::Bounds},
};

const BOUND: Duration = Duration::from_secs(10);

const PATIENCE: Patience = Patience {
    idle: BOUND,
    head: Duration::from_millis(200),
    draining: Duration::from_secs(5),
};

/// Both ends of a connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn incoming() -> (TcpStream, Incoming) {
    let (client, server) = sockets().await;
    let stream = Stream::Plain(Prefixed::new(Bytes::new(), server));
    (client, Incoming::new(stream, Bytes::new()))
}

async fn next(incoming: &mut Incoming) -> Result<Asked, End> {
    let draining = pin!(pending());
    let next = incoming.next(draining, PATIENCE);
    timeout(BOUND, next).await.expect("within the bound")
}

async fn asked(incoming: &mut Incoming) -> Asked {
    next(incoming).await.expect("a request")
}

async fn answer(incoming: &mut Incoming, asked: Asked, body: &'static str) -> Served {
    let response = Response::new(Full::new(Bytes::from(body)));
    incoming.respond(response, None, asked.answer, false).await
}

/// What comes up to the end of the connection.
async fn all(client: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = timeout(BOUND, client.read_to_string(&mut text)).await;
    read.expect("it closes").unwrap();
    text
}

#[tokio::test]
async fn pipelined_requests_are_served_one_after_the_other() {
    let (mut client, mut incoming) = incoming().await;
    let bytes = "\r\nPOST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\none\
        POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
        GET /3 HTTP/1.1\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\n\r\n";
    client.write_all(bytes.as_bytes()).await.unwrap();
    for (path, body) in [("/1", "one"), ("/2", "two"), ("/3", "")] {
        let mut asked = asked(&mut incoming).await;
        assert_eq!(asked.parts.uri, path);
        let read = match asked.body.take() {
            Some(body) => body.collect().await.unwrap().to_bytes(),
            None => Bytes::new(),
        };
        assert_eq!(read, body);
        let served = answer(&mut incoming, asked, "ok").await;
        assert_eq!(served == Served::Closed, path == "/3");
    }
    drop(incoming);
    let text = all(&mut client).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert_eq!(text.matches("connection: close").count(), 1, "{text}");
}

#[tokio::test]
async fn a_body_that_nobody_read_is_not_the_next_request() {
    let (mut client, mut incoming) = incoming().await;
    let hidden = "GET /hidden HTTP/1.1\r\n\r\n";
    let bytes = format!(
        "POST /1 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{hidden}GET /2 HTTP/1.1\r\n\r\n",
        hidden.len()
    );
    client.write_all(bytes.as_bytes()).await.unwrap();
    let first = asked(&mut incoming).await;
    assert_eq!(answer(&mut incoming, first, "ok").await, Served::Next);
    assert_eq!(asked(&mut incoming).await.parts.uri, "/2");
    // One that has not come is not waited for.
    client
        .write_all(b"POST /3 HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        .await
        .unwrap();
    // Nor is the client left to find out with its next request.
    let mut third = asked(&mut incoming).await;
    drop(third.body.take());
    assert_eq!(answer(&mut incoming, third, "ok").await, Served::Closed);
    drop(incoming);
    let text = all(&mut client).await;
    assert_eq!(text.matches("connection: close").count(), 1, "{text}");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

#[tokio::test]
async fn an_expectation_is_answered_only_when_the_body_is_asked_for() {
    for wanted in [true, false] {
        let (mut client, mut incoming) = incoming().await;
        let head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut asked = asked(&mut incoming).await;
        if wanted {
            let body = asked.body.take().unwrap().collect();
            let send = async {
                let mut interim = [0; 25];
                client.read_exact(&mut interim).await.unwrap();
                assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
                client.write_all(b"ok").await.unwrap();
            };
            assert_eq!(tokio::join!(body, send).0.unwrap().to_bytes(), "ok");
        }
        let served = answer(&mut incoming, asked, "ok").await;
        assert_eq!(served == Served::Next, wanted);
        drop(incoming);
        assert!(all(&mut client).await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_exchange() {
    let (mut client, mut incoming) = incoming().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _asked = asked(&mut incoming).await;
    drop(client);
    let served = timeout(BOUND, incoming.while_there(pending::<()>())).await;
    assert_eq!(served.expect("it is noticed"), None);
}

#[tokio::test]
async fn heads_that_are_slow_or_none_are_told_apart_from_a_client_that_leaves() {
    let (mut client, mut incoming) = incoming().await;
    client.write_all(b"GET / HTTP/1.1\r\nX").await.unwrap();
    assert!(matches!(next(&mut incoming).await, Err(End::SlowHead)));
    let (mut client, mut incoming) = self::incoming().await;
    client.write_all(b"GET /\0 HTTP/1.1\r\n").await.unwrap();
    assert!(matches!(next(&mut incoming).await, Err(End::Refused(400))));
    assert!(
        all(&mut client)
            .await
            .starts_with("HTTP/1.1 400 Bad Request\r\n")
    );
    let (client, mut incoming) = self::incoming().await;
    drop(client);
    assert!(matches!(next(&mut incoming).await, Err(End::Left)));
}

#[tokio::test]
async fn a_request_that_is_on_its_way_when_the_drain_begins_is_still_served() {
    let (mut client, mut incoming) = incoming().await;
    let send = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    };
    let draining = pin!(ready(()));
    let (asked, ()) = tokio::join!(incoming.next(draining, PATIENCE), send);
    let asked = asked.expect("a request");
    let response = Response::new(Full::new(Bytes::new()));
    let served = incoming.respond(response, None, asked.answer, true).await;
    assert_eq!(served, Served::Closed);
    // Without patience, and without a request, the connection ends at once.
    let (_client, mut incoming) = self::incoming().await;
    let none = Patience {
        draining: Duration::ZERO,
        ..PATIENCE
    };
    let draining = pin!(ready(()));
    let next = timeout(BOUND, incoming.next(draining, none)).await;
    assert!(matches!(next, Ok(Err(End::Left))));
}

#[tokio::test]
async fn a_response_that_breaks_off_has_no_end() {
    let (mut client, mut incoming) = incoming().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let asked = asked(&mut incoming).await;
    let frames = [
        Ok(Frame::data(Bytes::from("half"))),
        Err(io::Error::other("cut")),
    ];
    let body = StreamBody::new(futures::stream::iter(frames));
    let served = incoming.respond(Response::new(body), None, asked.answer, false);
    assert_eq!(served.await, Served::Closed);
    drop(incoming);
    let text = all(&mut client).await;
    assert!(text.ends_with("\r\n\r\n4\r\nhalf\r\n"), "{text}");
}

fn connection(stream: TcpStream) -> Box<Connection> {
    let bounds = Rc::<Bounds>::default();
    bounds.set(&ConnectionPool::default(), 1);
    let permit = bounds.open_connection().unwrap();
    Connection::new(UpstreamStream::plain(stream), permit)
}

type Sent = Result<Response<ReplyBody<Full<Bytes>>>, SendFailure<std::convert::Infallible>>;

async fn send(connection: Box<Connection>, body: &'static str) -> Sent {
    let headers = HeaderMap::new();
    let body = Full::new(Bytes::from(body));
    timeout(BOUND, connection.send(post(&headers), body))
        .await
        .unwrap()
}

fn post(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: &Method::POST,
        target: "/x",
        host: "a",
        headers,
        upgrade: None,
    }
}

async fn whole<B>(body: &mut ReplyBody<B>) -> String
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        data.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    String::from_utf8(data).unwrap()
}

/// Reads until the bytes end so.
async fn until(server: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(server.read_u8().await.unwrap()));
    }
    text
}

#[tokio::test]
async fn a_connection_carries_one_exchange_after_the_other() {
    let (near, mut far) = sockets().await;
    let mut connection = connection(near);
    for answer in [
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        assert!(connection.is_open());
        let (sent, head) = tokio::join!(send(connection, "hello"), async {
            let head = until(&mut far, "hello").await;
            far.write_all(answer.as_bytes()).await.unwrap();
            head
        });
        assert_eq!(
            head,
            "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
        );
        let mut body = sent.unwrap().into_body();
        assert_eq!(whole(&mut body).await, "ok");
        connection = body.into_connection().expect("it may carry another");
    }
    drop(far);
    timeout(BOUND, async {
        while connection.is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the close is noticed");
}

#[tokio::test]
async fn a_connection_is_given_up_after_what_must_not_be_followed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let (near, mut far) = sockets().await;
        let (sent, ()) = tokio::join!(send(connection(near), ""), async {
            until(&mut far, "\r\n\r\n").await;
            far.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut body = sent.unwrap().into_body();
        assert_eq!(whole(&mut body).await, "ok", "{answer}");
        assert!(body.into_connection().is_none(), "{answer}");
    }
}

#[tokio::test]
async fn what_the_server_may_have_seen_is_told_apart() {
    let (near, mut far) = sockets().await;
    let (sent, ()) = tokio::join!(send(connection(near), ""), async {
        until(&mut far, "\r\n\r\n").await;
        drop(far);
    });
    assert!(matches!(sent, Err(SendFailure::Reset(_))), "{sent:?}");
    let (near, mut far) = sockets().await;
    let (sent, ()) = tokio::join!(send(connection(near), ""), async {
        until(&mut far, "\r\n\r\n").await;
        far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    });
    assert!(matches!(sent, Err(SendFailure::Response(_))), "{sent:?}");
}

#[tokio::test]
async fn a_server_that_closes_without_reading_got_nothing() {
    for shuts_first in [false, true] {
        let (near, mut far) = sockets().await;
        let (sent, ()) = tokio::join!(send(connection(near), "hello"), async {
            far.readable().await.unwrap();
            if shuts_first {
                far.shutdown().await.unwrap();
            }
            drop(far);
        });
        assert!(matches!(sent, Err(SendFailure::Unread(_))), "{sent:?}");
    }
    // Of a long request it may have read, and acted on, the beginning.
    let (near, mut far) = sockets().await;
    let long: &str = Box::leak("x".repeat(8000).into_boxed_str());
    let (sent, ()) = tokio::join!(send(connection(near), long), async {
        far.read_exact(&mut [0; 100]).await.unwrap();
        drop(far);
    });
    assert!(matches!(sent, Err(SendFailure::Reset(_))), "{sent:?}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_ended() {
    let (near, mut far) = sockets().await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Frame<Bytes>>(1);
    let frames = futures::stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|frame| frame.map(Ok::<_, io::Error>))
    });
    let body = StreamBody::new(Box::pin(frames));
    let headers = HeaderMap::new();
    sender.send(Frame::data(Bytes::from("a"))).await.unwrap();
    let (sent, ()) = tokio::join!(connection(near).send(post(&headers), body), async {
        until(&mut far, "1\r\na\r\n").await;
        far.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n")
            .await
            .unwrap();
    });
    let mut body = sent.unwrap_or_else(|_| panic!("no response")).into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "b"
    );
    let mut trailers = HeaderMap::new();
    trailers.insert("x-unannounced", "1".parse().unwrap());
    sender.send(Frame::data(Bytes::from("c"))).await.unwrap();
    drop(sender);
    let (rest, ()) = tokio::join!(whole(&mut body), async {
        assert_eq!(until(&mut far, "0\r\n\r\n").await, "1\r\nc\r\n0\r\n\r\n");
        far.write_all(b"1\r\nd\r\n0\r\n\r\n").await.unwrap();
    });
    assert_eq!(rest, "d");
    assert!(body.into_connection().is_some());
}

#[tokio::test]
async fn a_large_body_goes_through_whole() {
    let (mut client, mut incoming) = incoming().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let asked = asked(&mut incoming).await;
    let large = Bytes::from((0..3_000_000u32).map(|n| n as u8).collect::<Vec<_>>());
    let frames = [
        large.slice(..10),
        large.slice(10..2_000_000),
        large.slice(2_000_000..),
    ];
    let frames = frames.map(|data| Ok::<_, io::Error>(Frame::data(data)));
    let body = StreamBody::new(futures::stream::iter(frames));
    let mut text = Vec::new();
    let served = incoming.respond(Response::new(body), None, asked.answer, false);
    let (served, read) = tokio::join!(served, client.read_to_end(&mut text));
    read.unwrap();
    assert_eq!(served, Served::Closed);
    let begin = text
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut framing = crate::h1::body::Framing::Chunked(Default::default());
    let mut input = crate::h1::input::Input::new(Bytes::from(text).slice(begin..));
    let mut data = Vec::new();
    while let crate::h1::body::Piece::Data(piece) = framing.next(&mut input).unwrap() {
        data.extend_from_slice(&piece);
    }
    assert!(data == large);
}

#[tokio::test]
async fn trailers_go_to_who_takes_them_if_they_were_announced() {
    for (te, comes) in [("TE: trailers\r\n", true), ("", false)] {
        let (mut client, mut incoming) = incoming().await;
        let head = format!("GET / HTTP/1.1\r\n{te}Connection: close\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let asked = asked(&mut incoming).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("x-other", "2".parse().unwrap());
        let frames =
            [Frame::data(Bytes::from("a")), Frame::trailers(trailers)].map(Ok::<_, io::Error>);
        let mut response = Response::new(StreamBody::new(futures::stream::iter(frames)));
        response
            .headers_mut()
            .insert("trailer", "X-Sum".parse().unwrap());
        incoming.respond(response, None, asked.answer, false).await;
        drop(incoming);
        let text = all(&mut client).await;
        assert_eq!(text.ends_with("0\r\nx-sum: 1\r\n\r\n"), comes, "{text}");
        assert!(!text.contains("x-other"), "{text}");
    }
}
