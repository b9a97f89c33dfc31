use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{COPIED, Gathered, LIMIT};

/// Counts the writes that reach it.
struct Counted<S> {
    inner: S,
    writes: usize,
}

impl<S: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn pair(
    room: usize,
) -> (
    Gathered<Counted<tokio::io::DuplexStream>>,
    tokio::io::DuplexStream,
) {
    let (near, far) = tokio::io::duplex(room);
    let near = Counted {
        inner: near,
        writes: 0,
    };
    (Gathered::new(near), far)
}

async fn end_turn<S: AsyncWrite + Unpin>(gathered: &Gathered<S>) {
    poll_fn(|cx| {
        gathered.poll_out(cx);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn what_is_written_in_one_turn_goes_out_in_one_write() {
    let (mut gathered, mut far) = pair(LIMIT);
    for word in [b"one ", b"two ", b"six "] {
        gathered.write_all(word).await.unwrap();
        gathered.flush().await.unwrap();
    }
    assert_eq!(gathered.0.borrow().stream.writes, 0);
    end_turn(&gathered).await;
    assert_eq!(gathered.0.borrow().stream.writes, 1);
    let mut seen = [0; 12];
    far.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"one two six ");
}

#[tokio::test]
async fn small_and_large_writes_keep_their_order_through_a_narrow_stream() {
    let (mut gathered, mut far) = pair(1000);
    let mut sent = Vec::new();
    for (at, length) in [10, COPIED, COPIED + 1, 3, 5 * LIMIT, 7].iter().enumerate() {
        sent.extend(std::iter::repeat_n(at as u8, *length));
    }
    let expected = sent.clone();
    let write = async {
        let mut rest = &sent[..];
        for length in [10, COPIED, COPIED + 1, 3, 5 * LIMIT, 7] {
            let (part, tail) = rest.split_at(length);
            gathered.write_all(part).await.unwrap();
            rest = tail;
        }
        gathered.shutdown().await.unwrap();
    };
    let read = async {
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        seen
    };
    let ((), seen) = tokio::join!(write, read);
    assert!(seen == expected);
}

#[tokio::test]
async fn what_waits_is_bounded_while_nobody_reads() {
    let (mut gathered, _far) = pair(1);
    let write = async {
        loop {
            gathered.write_all(&[0; 1000]).await.unwrap();
        }
    };
    let stopped = tokio::time::timeout(std::time::Duration::from_millis(50), write).await;
    assert!(stopped.is_err());
    assert!(gathered.0.borrow().waiting.len() <= LIMIT);
}

#[tokio::test]
async fn a_failure_at_the_end_of_a_turn_is_told_to_the_next_writer() {
    let (mut gathered, far) = pair(LIMIT);
    drop(far);
    gathered.write_all(b"lost").await.unwrap();
    end_turn(&gathered).await;
    assert!(gathered.flush().await.is_err());
}
