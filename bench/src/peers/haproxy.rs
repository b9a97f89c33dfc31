use std::{path::Path, process::Command};

use crate::{
    BenchError,
    hop::{Hop, Kind},
    peers::write,
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
    let config = write(folder, "haproxy.cfg", &config(hop))?;
    let mut command = core.pinned(&tools.system("haproxy")?);
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}

fn config(hop: &Hop) -> String {
    let mode = if hop.kind == Kind::Tcp { "tcp" } else { "http" };
    let reuse = if hop.kind == Kind::Tcp {
        ""
    } else {
        "  http-reuse always\n"
    };
    let mut bind = format!("bind {}", hop.listen);
    let mut server = format!("server origin {}", hop.to);
    if let Some(certificates) = &hop.accept {
        let folder = certificates.display();
        bind += &format!(" ssl crt {folder}/both.pem ssl-min-ver TLSv1.3");
        if certificates.join("ca.crt").exists() {
            bind += &format!(" ca-file {folder}/ca.crt verify required");
        }
    }
    if let Some(certificates) = &hop.connect {
        let folder = certificates.display();
        server += &format!(
            " ssl ca-file {folder}/ca.crt verify required verifyhost {NAME} sni str({NAME}) ssl-min-ver TLSv1.3"
        );
        if certificates.join("both.pem").exists() {
            server += &format!(" crt {folder}/both.pem");
        }
    }
    if hop.kind == Kind::Http2 {
        if hop.accept.is_some() {
            bind += " alpn h2";
        } else {
            bind += " proto h2";
        }
        if hop.connect.is_some() {
            server += " alpn h2";
        } else {
            server += " proto h2";
        }
    }
    format!(
        "global
  nbthread 1
  maxconn 8000
defaults
  mode {mode}
  timeout connect 5s
  timeout client 120s
  timeout server 120s
{reuse}frontend front
  {bind}
  default_backend back
backend back
  {server}
"
    )
}
