use std::{cell::Cell, rc::Rc, time::Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};

use super::{Activity, MAX_KEPT, RequestBody, RequestBodyError, Upload};

type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

fn upload(frames: Vec<Frame<Bytes>>) -> (Upload<Boxed>, Rc<Cell<u64>>) {
    let bytes = Rc::new(Cell::new(0));
    let body = StreamBody::new(futures::stream::iter(frames.into_iter().map(Ok))).boxed_unsync();
    (
        Upload::new(body, bytes.clone(), Activity::new(Instant::now())),
        bytes,
    )
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

async fn read(body: RequestBody<Boxed>) -> Result<(String, Option<HeaderMap>), RequestBodyError> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    let text = String::from_utf8(collected.to_bytes().to_vec()).unwrap();
    Ok((text, trailers))
}

#[tokio::test]
async fn a_kept_body_is_sent_again_whole() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    let frames = vec![data("one "), data("two"), Frame::trailers(trailers.clone())];
    let (upload, bytes) = upload(frames);
    for _ in 0..3 {
        let (text, read_trailers) = read(upload.attempt()).await.unwrap();
        assert_eq!(text, "one two");
        assert_eq!(read_trailers.as_ref(), Some(&trailers));
        assert!(upload.can_replay());
    }
    assert_eq!(bytes.get(), 7, "the client's bytes are counted once");
}

#[tokio::test]
async fn an_attempt_that_stopped_midway_is_continued_by_the_next() {
    let (upload, _) = upload(vec![data("one "), data("two")]);
    let mut first = upload.attempt();
    first.frame().await.unwrap().unwrap();
    assert_eq!(read(upload.attempt()).await.unwrap().0, "one two");
    assert!(matches!(
        first.frame().await,
        Some(Err(RequestBodyError::Superseded))
    ));
}

#[tokio::test]
async fn after_the_response_nothing_is_kept_and_the_rest_is_sent() {
    let (upload, _) = upload(vec![data("one "), data("two")]);
    let mut first = upload.attempt();
    first.frame().await.unwrap().unwrap();
    assert!(upload.can_replay());
    upload.settle();
    assert!(!upload.can_replay());
    assert_eq!(read(first).await.unwrap().0, "two");
}

#[tokio::test]
async fn a_replay_is_finished_after_the_response() {
    let (upload, _) = upload(vec![data("one "), data("two "), data("three")]);
    let mut first = upload.attempt();
    first.frame().await.unwrap().unwrap();
    first.frame().await.unwrap().unwrap();
    let mut second = upload.attempt();
    second.frame().await.unwrap().unwrap();
    upload.settle();
    assert_eq!(read(second).await.unwrap().0, "two three");
}

#[tokio::test]
async fn a_long_body_is_not_kept() {
    let chunk = Frame::data(Bytes::from(vec![b'x'; MAX_KEPT / 2 + 1]));
    let again = Frame::data(Bytes::from(vec![b'x'; MAX_KEPT / 2 + 1]));
    let (upload, bytes) = upload(vec![chunk, again, data("end")]);
    let (text, _) = read(upload.attempt()).await.unwrap();
    assert_eq!(text.len() as u64, bytes.get());
    assert!(text.ends_with("end"));
    assert!(!upload.can_replay());
}

#[test]
fn a_request_without_a_body_has_none_to_keep() {
    let upload = Upload::new(
        Full::new(Bytes::new()),
        Rc::default(),
        Activity::new(Instant::now()),
    );
    assert!(upload.can_replay());
    let body = upload.attempt();
    assert!(body.part.is_none());
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(0));
}

#[test]
fn a_known_length_is_handed_on() {
    let upload = Upload::new(
        Full::new(Bytes::from_static(b"hello")),
        Rc::default(),
        Activity::new(Instant::now()),
    );
    assert_eq!(Body::size_hint(&upload.attempt()).exact(), Some(5));
}
