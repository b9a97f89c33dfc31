use std::{fmt::Write, net::SocketAddr, path::Path, process::Command};

use crate::{
    BenchError,
    hop::{Hop, Kind},
    peers::write,
    pki::NAME,
    running::Core,
    tools::Tools,
};

/// Bytes of the backend's response body.
pub const BODY: usize = 1024;

pub(crate) fn command(
    tools: &Tools,
    hop: &Hop,
    folder: &Path,
    core: Core,
) -> Result<Command, BenchError> {
    let body = match hop.kind {
        Kind::Tcp => stream(hop),
        Kind::Http1 | Kind::Http2 => http(hop),
    };
    start(tools, &body, folder, core)
}

/// The backend: HTTP/1.1 and HTTP/2 in plaintext at `plain` and `http2`, HTTP/1.1 over TLS at
/// `tls` with the certificate in `certificates`.
pub(crate) fn backend(
    tools: &Tools,
    plain: SocketAddr,
    http2: SocketAddr,
    tls: SocketAddr,
    certificates: &Path,
    folder: &Path,
) -> Result<Command, BenchError> {
    let body = "x".repeat(BODY);
    let certificates = certificates.display();
    let http = format!(
        "http {{
  {COMMON}
  server {{
    listen {plain} backlog=4096;
    listen {http2} http2 backlog=4096;
    listen {tls} ssl backlog=4096;
    ssl_certificate {certificates}/tls.crt;
    ssl_certificate_key {certificates}/tls.key;
    ssl_protocols TLSv1.3;
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
    format!(
        "http {{
  {COMMON}
  upstream origin {{ server {to}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    {listen}
    {accept}
    location / {{
      proxy_pass {scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      {connect}
    }}
  }}
}}",
        to = hop.to,
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
    format!(
        "stream {{
  server {{
    {listen}
    {accept}
    proxy_pass {to};
    {ssl}
    {connect}
  }}
}}",
        to = hop.to,
        connect = connect(hop),
    )
}
