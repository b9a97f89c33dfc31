//! Small applications behind proxies. Each runs in the test's runtime and ends with it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Sends back what it gets, and closes when its peer has.
pub async fn echo(address: SocketAddr) {
    serve(address, |mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        let _ = writer.shutdown().await;
    })
    .await;
}

/// Speaks first (as MySQL and SMTP do), then echoes.
pub async fn greeter(address: SocketAddr, greeting: &'static str) {
    serve(address, move |mut stream| async move {
        let _ = stream.write_all(greeting.as_bytes()).await;
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await;
}

/// Reads everything up to the end, then answers with how many bytes that was.
pub async fn counter(address: SocketAddr) {
    serve(address, |mut stream| async move {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let _ = stream.write_all(bytes.len().to_string().as_bytes()).await;
    })
    .await;
}

async fn serve<F: Future<Output = ()> + Send + 'static>(
    address: SocketAddr,
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) {
    let listener = TcpListener::bind(address).await.expect("a fresh address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
}
