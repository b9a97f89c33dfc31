use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    Saturated,
    messages::{Count, Talk, on_this_thread},
};

/// What is counted.
const MIB: u64 = 1 << 20;

/// Takes what comes over `talk.connections`, and counts MiB.
pub fn take(address: SocketAddr, talk: Talk) -> io::Result<Saturated> {
    on_this_thread(async {
        let mut count = Count::begin(talk.time);
        let mut tasks = JoinSet::new();
        for _ in 0..talk.connections {
            tasks.spawn_local(one(address, count));
        }
        let mut bytes = 0;
        while let Some(counted) = tasks.join_next().await {
            let (more, error) = counted.map_err(io::Error::other)?;
            bytes += more;
            count.add((0, error));
        }
        count.add::<io::Error>((bytes / MIB, None));
        Ok(count.seen())
    })
}

async fn one(address: SocketAddr, count: Count) -> (u64, Option<io::Error>) {
    let mut bytes = 0;
    let mut buffer = vec![0; 256 * 1024];
    let taken = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"!").await?;
        let end = tokio::time::Instant::from_std(count.end());
        while let Ok(read) = tokio::time::timeout_at(end, stream.read(&mut buffer)).await {
            match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes += read as u64,
            }
        }
        Ok(())
    };
    let error = taken.await.err();
    (bytes, error)
}
