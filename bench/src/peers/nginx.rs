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
    let body = match hop.kind {
        Kind::Tcp => stream(hop),
        Kind::Http1 | Kind::Http2 | Kind::WebSocket => http(hop),
    };
    start(tools, &body, folder, core)
}

/// The backend: HTTP/1.1 at `plain`, HTTP/2 with prior knowledge at `http2`, both in plaintext.
pub(crate) fn backend(
    tools: &Tools,
    plain: &[SocketAddr],
    http2: SocketAddr,
    folder: &Path,
) -> Result<Command, BenchError> {
    let body = "x".repeat(BODY);
    let listen: String = plain
        .iter()
        .map(|plain| format!("    listen {plain} backlog=4096;\n"))
        .collect();
    let http = format!(
        "http {{
  {COMMON}
  server {{
{listen}    listen {http2} http2 backlog=4096;
    location / {{ return 200 \"{body}\"; }}
  }}
}}"
    );
    start(tools, &http, folder, Core::Others)
}

const COMMON: &str = "access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path body;
  proxy_temp_path proxied;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;";

fn start(tools: &Tools, body: &str, folder: &Path, core: Core) -> Result<Command, BenchError> {
    // A prefix of its own: nothing of the system's configuration or folders is touched.
    let mut config = String::new();
    let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    if body.starts_with("stream") && module.exists() {
        let _ = writeln!(config, "load_module {};", module.display());
    }
    let _ = write!(
        config,
        "daemon off;
master_process off;
worker_processes 1;
error_log stderr;
pid nginx.pid;
events {{ worker_connections 16000; }}
{body}
"
    );
    let config = write(folder, "nginx.conf", &config)?;
    let mut command = core.pinned(&tools.system("nginx")?);
    command.arg("-e").arg("stderr");
    command.arg("-p").arg(folder).arg("-c").arg(config);
    Ok(command)
}

fn accept(hop: &Hop) -> (String, String) {
    let mut listen = format!("listen {}", hop.listen);
    let mut settings = String::new();
    if let Some(certificates) = &hop.accept {
        let folder = certificates.display();
        listen += " ssl";
        let _ = write!(
            settings,
            "ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key; ssl_protocols TLSv1.3;"
        );
        if certificates.join("ca.crt").exists() {
            let _ = write!(
                settings,
                " ssl_client_certificate {folder}/ca.crt; ssl_verify_client on;"
            );
        }
    }
    if hop.kind == Kind::Http2 {
        listen += " http2";
    }
    (format!("{listen} backlog=4096;"), settings)
}

fn connect(hop: &Hop) -> String {
    let Some(certificates) = &hop.connect else {
        return String::new();
    };
    let folder = certificates.display();
    let mut settings = format!(
        "proxy_ssl_trusted_certificate {folder}/ca.crt; proxy_ssl_verify on; proxy_ssl_name {NAME};
      proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;"
    );
    if certificates.join("tls.crt").exists() {
        let _ = write!(
            settings,
            " proxy_ssl_certificate {folder}/tls.crt; proxy_ssl_certificate_key {folder}/tls.key;"
        );
    }
    settings
}

fn http(hop: &Hop) -> String {
    let (listen, accept) = accept(hop);
    let scheme = if hop.connect.is_some() {
        "https"
    } else {
        "http"
    };
    let balance = if hop.to.len() > 1 { "least_conn;" } else { "" };
    let servers: String = hop.to.iter().map(|to| format!("server {to}; ")).collect();
    // Kept connections have no Connection header; what becomes something else has.
    let (upgrade, connection) = match hop.kind {
        Kind::WebSocket => ("proxy_set_header Upgrade $http_upgrade;", "upgrade"),
        _ => ("", ""),
    };
    format!(
        "http {{
  {COMMON}
  upstream origin {{ {balance} {servers} keepalive 2048; keepalive_requests 1000000000; }}
  server {{
    {listen}
    {accept}
    location / {{
      proxy_pass {scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection \"{connection}\";
      {upgrade}
      proxy_set_header Host $host;
      {connect}
    }}
  }}
}}",
        connect = connect(hop),
    )
}

fn stream(hop: &Hop) -> String {
    let (listen, accept) = accept(hop);
    let ssl = if hop.connect.is_some() {
        "proxy_ssl on;"
    } else {
        ""
    };
    let servers: String = hop.to.iter().map(|to| format!("server {to}; ")).collect();
    format!(
        "stream {{
  upstream origin {{ {servers} }}
  server {{
    {listen}
    {accept}
    proxy_pass origin;
    {ssl}
    {connect}
  }}
}}",
        connect = connect(hop),
    )
}
