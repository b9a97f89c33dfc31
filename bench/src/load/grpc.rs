//! Calls of gRPC by its own framing: a byte, a length, a message; the status in the trailers.

use std::{io, net::SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::Request;
use tokio::{
    net::TcpStream,
    task::{JoinSet, spawn_local},
};

use super::{
    Saturated,
    messages::{Count, MESSAGE, Talk, on_this_thread},
};

/// The method whose call ends with its first message.
pub(crate) const UNARY: &str = "/bench.Echo/Unary";

/// The method that goes on.
const STREAM: &str = "/bench.Echo/Stream";

/// A message in its frame.
pub(crate) fn framed() -> Bytes {
    let mut framed = BytesMut::with_capacity(MESSAGE + 5);
    framed.put_u8(0);
    framed.put_u32(MESSAGE as u32);
    framed.put_bytes(b'm', MESSAGE);
    framed.freeze()
}

/// One call of [`UNARY`]; an error unless the message comes back and the status is 0.
pub fn call(address: SocketAddr, host: &str) -> io::Result<()> {
    let once = on_this_thread(async {
        let client = connected(address).await?;
        let counted = stream(client, url(host, UNARY), None).await;
        let mut count = Count::begin(std::time::Duration::ZERO);
        count.add(counted);
        Ok(count.seen())
    })?;
    match once.failed {
        0 => Ok(()),
        _ => Err(io::Error::other("a call failed")),
    }
}

/// Talks over `talk.streams` streams on each of `talk.connections`.
pub fn send(address: SocketAddr, host: &str, talk: Talk) -> io::Result<Saturated> {
    on_this_thread(async {
        let mut count = Count::begin(talk.time);
        let mut tasks = JoinSet::new();
        for _ in 0..talk.connections {
            let client = connected(address).await?;
            for _ in 0..talk.streams {
                let url = url(host, STREAM);
                tasks.spawn_local(stream(client.clone(), url, Some(count)));
            }
        }
        while let Some(counted) = tasks.join_next().await {
            count.add(counted.map_err(io::Error::other)?);
        }
        Ok(count.seen())
    })
}

fn url(host: &str, path: &str) -> String {
    format!("http://{host}{path}")
}

async fn connected(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    spawn_local(async move {
        // What breaks a connection breaks its streams, and is told there.
        let _ = connection.await;
    });
    client.ready().await.map_err(io::Error::other)
}

/// Messages on one stream until the time is over; without `count`, one.
async fn stream(
    client: SendRequest<Bytes>,
    url: String,
    count: Option<Count>,
) -> (u64, Option<io::Error>) {
    let mut messages = 0;
    let error = talk(client, url, count, &mut messages).await.err();
    (messages, error)
}

async fn talk(
    mut client: SendRequest<Bytes>,
    url: String,
    count: Option<Count>,
    messages: &mut u64,
) -> io::Result<()> {
    let request = Request::post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(io::Error::other)?;
    let (response, mut out) = client
        .send_request(request, false)
        .map_err(io::Error::other)?;
    let message = framed();
    let mut put = |message, last| out.send_data(message, last).map_err(io::Error::other);
    put(message.clone(), count.is_none())?;
    let response = response.await.map_err(io::Error::other)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let mut back = response.into_body();
    loop {
        whole(&mut back, message.len()).await?;
        *messages += 1;
        match count {
            None => break,
            Some(count) if count.is_over() => {
                put(Bytes::new(), true)?;
                break;
            }
            Some(_) => put(message.clone(), false)?,
        }
    }
    while let Some(rest) = back.data().await {
        rest.map_err(io::Error::other)?;
    }
    let trailers = back.trailers().await.map_err(io::Error::other)?;
    match trailers.and_then(|trailers| trailers.get("grpc-status").cloned()) {
        Some(status) if status == "0" => Ok(()),
        status => Err(io::Error::other(format!("grpc-status {status:?}"))),
    }
}

/// Reads that many bytes.
async fn whole(back: &mut RecvStream, length: usize) -> io::Result<()> {
    let mut read = 0;
    while read < length {
        let data = match back.data().await {
            Some(data) => data.map_err(io::Error::other)?,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        read += data.len();
        back.flow_control()
            .release_capacity(data.len())
            .map_err(io::Error::other)?;
    }
    Ok(())
}
