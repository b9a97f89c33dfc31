//! The ledger: a line-less TCP echo in which the server speaks first, as SMTP and MySQL do.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::answer::Instance;

/// A silent connection is closed after this.
const IDLE: Duration = Duration::from_secs(300);

/// What the server says before it has read a byte.
pub(super) fn greeting(instance: &Instance) -> String {
    format!(
        "220 {} {} {} ready\r\n",
        instance.service, instance.version, instance.instance
    )
}

/// Greets, then echoes until the client ends its side.
pub(super) async fn talk(mut stream: TcpStream, greeting: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(greeting.as_bytes()).await?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = match tokio::time::timeout(IDLE, stream.read(&mut buffer)).await {
            Ok(read) => read?,
            Err(_) => return Ok(()),
        };
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => stream.write_all(bytes).await?,
            _ => return stream.shutdown().await,
        }
    }
}
