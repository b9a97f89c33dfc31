//! A bare Pingora proxy: `weft-pingora http --listen ADDR --to ADDR`, HTTP/1.1, one thread, kept
//! connections on both sides. No route, no policy, no metric: a peer to measure against, never
//! something to deploy. The arguments are those of `weft-floor`.

use std::{net::SocketAddr, process::ExitCode};

use async_trait::async_trait;
use pingora_core::{
    Result,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Everything goes to one address.
struct To(SocketAddr);

#[async_trait]
impl ProxyHttp for To {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let of = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1)?.parse::<SocketAddr>().ok()
    };
    let (Some(listen), Some(to)) = (of("--listen"), of("--to")) else {
        eprintln!("usage: weft-pingora http --listen ADDR --to ADDR");
        return ExitCode::FAILURE;
    };
    let configuration = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 256,
        // It ends when it is told to.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, To(to));
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}
