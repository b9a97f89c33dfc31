use std::{io, net::SocketAddr};

use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, Message},
};

use super::{
    Saturated,
    messages::{Count, MESSAGE, Talk, on_this_thread},
};

/// Talks over `talk.connections` WebSockets.
pub fn send(address: SocketAddr, host: &str, talk: Talk) -> io::Result<Saturated> {
    on_this_thread(async {
        let mut count = Count::begin(talk.time);
        let mut tasks = JoinSet::new();
        for _ in 0..talk.connections {
            let url = format!("ws://{host}/");
            tasks.spawn_local(async move { one(address, url, count).await });
        }
        while let Some(counted) = tasks.join_next().await {
            count.add(counted.map_err(io::Error::other)?);
        }
        Ok(count.seen())
    })
}

async fn one(address: SocketAddr, url: String, count: Count) -> (u64, Option<Error>) {
    let mut messages = 0;
    let talked = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(url, stream).await?;
        let message = Message::binary(vec![b'm'; MESSAGE]);
        while !count.is_over() {
            socket.send(message.clone()).await?;
            match socket.next().await {
                Some(Ok(back)) if back == message => messages += 1,
                Some(Err(error)) => return Err(error),
                _ => return Err(Error::ConnectionClosed),
            }
        }
        socket.close(None).await
    };
    let error = talked.await.err();
    (messages, error)
}
