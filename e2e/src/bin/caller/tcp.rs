//! A greeting and echoes.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::CALL;

/// What the server says first, and what it answers to a line.
pub(super) async fn once(address: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let greeting = line(&mut stream).await?;
    stream.write_all(b"sold 1\r\n").await?;
    let echo = line(&mut stream).await?;
    Ok((greeting, echo))
}

/// A line each second over one connection, and each has to come back.
pub(super) async fn talk(address: &str, seconds: u32, lines: &mut u32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    line(&mut stream).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for number in 0..seconds {
        ticks.tick().await;
        stream.write_all(format!("{number}\r\n").as_bytes()).await?;
        let echo = tokio::time::timeout(CALL, line(&mut stream)).await??;
        if echo != number.to_string() {
            return Err(std::io::Error::other(format!("{echo} instead of {number}")));
        }
        *lines += 1;
    }
    Ok(())
}

async fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") {
        if bytes.len() > 4096 {
            return Err(std::io::Error::other("a line of more than 4 KiB"));
        }
        bytes.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
