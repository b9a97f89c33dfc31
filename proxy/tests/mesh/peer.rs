//! A client that speaks mesh TLS by hand, to say what no proxy would.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use weft_proxy::{
    identity::{Identity, IdentityStore, MeshAlpn, Reloader},
    observe::Metrics,
};

/// The identity of a directory.
pub fn load(directory: &Path) -> Arc<Identity> {
    let store = IdentityStore::default();
    Reloader::new(
        directory.to_owned(),
        String::new(),
        String::new(),
        store.clone(),
        Metrics::default().recorder(),
    )
    .load_once();
    store.active().expect("the identity loads")
}

/// Connects to a proxy's inbound port as the identity of `directory`, expecting `peer` there.
pub async fn connect(
    directory: &Path,
    address: SocketAddr,
    peer: &str,
    alpn: MeshAlpn,
) -> io::Result<TlsStream<TcpStream>> {
    let identity = load(directory);
    let expected = Arc::new(peer.parse().expect("a SPIFFE ID"));
    let connector = TlsConnector::from(identity.client_config(&expected, alpn));
    let stream = TcpStream::connect(address).await?;
    connector.connect(Identity::server_name(), stream).await
}
