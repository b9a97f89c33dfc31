use std::{fmt::Write, net::SocketAddr, path::Path, process::Command};

use crate::{
    BenchError,
    hop::{Hop, Kind},
    peers::{BODY, write},
    pki::NAME,
    running::Core,
    tools::Tools,
};

pub(crate) fn command(
    tools: &Tools,
    hop: &Hop,
    folder: &Path,
    core: Core,
) -> Result<Command, BenchError> {
    start(tools, &config(hop), folder, core)
}

/// A backend that speaks HTTP/1.1 over TLS, with the certificate in `certificates`, also to who
/// calls it what Weft's proxies call it.
pub(crate) fn backend(
    tools: &Tools,
    listen: SocketAddr,
    certificates: &Path,
    folder: &Path,
) -> Result<Command, BenchError> {
    let body = "x".repeat(BODY);
    let body = format!(
        "frontend front
  bind {listen} ssl crt {}/both.pem ssl-min-ver TLSv1.3 alpn weft/http1,http/1.1
  http-request return status 200 content-type text/plain string {body}
",
        certificates.display()
    );
    start(tools, &whole("http", &body), folder, Core::Others)
}

fn start(tools: &Tools, config: &str, folder: &Path, core: Core) -> Result<Command, BenchError> {
    let config = write(folder, "haproxy.cfg", config)?;
    let mut command = core.pinned(&tools.system("haproxy")?);
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}

fn config(hop: &Hop) -> String {
    let mut bind = format!("bind {}", hop.listen);
    let mut options = String::new();
    if let Some(certificates) = &hop.accept {
        let folder = certificates.display();
        bind += &format!(" ssl crt {folder}/both.pem ssl-min-ver TLSv1.3");
        if certificates.join("ca.crt").exists() {
            bind += &format!(" ca-file {folder}/ca.crt verify required");
        }
    }
    if let Some(certificates) = &hop.connect {
        let folder = certificates.display();
        options += &format!(
            " ssl ca-file {folder}/ca.crt verify required verifyhost {NAME} sni str({NAME}) ssl-min-ver TLSv1.3"
        );
        if certificates.join("both.pem").exists() {
            options += &format!(" crt {folder}/both.pem");
        }
    }
    if hop.kind == Kind::Http2 {
        let spoken = |tls| if tls { " alpn h2" } else { " proto h2" };
        bind += spoken(hop.accept.is_some());
        options += spoken(hop.connect.is_some());
    }
    let mut backend = String::new();
    if hop.kind != Kind::Tcp {
        backend += "  http-reuse always\n";
    }
    if hop.to.len() > 1 {
        backend += "  balance leastconn\n";
    }
    for (number, to) in hop.to.iter().enumerate() {
        let _ = writeln!(backend, "  server origin-{number} {to}{options}");
    }
    let mode = if hop.kind == Kind::Tcp { "tcp" } else { "http" };
    let body = format!("frontend front\n  {bind}\n  default_backend back\nbackend back\n{backend}");
    whole(mode, &body)
}

fn whole(mode: &str, body: &str) -> String {
    format!(
        "global
  nbthread 1
  maxconn 8000
defaults
  mode {mode}
  timeout connect 5s
  timeout client 120s
  timeout server 120s
{body}"
    )
}
