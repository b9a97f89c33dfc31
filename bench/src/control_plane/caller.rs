use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::sleep;

use super::stage::Stage;
use crate::{
    BenchError,
    manifests::{name, namespace},
    running::{Running, free, get},
};

/// Everything that is waited for comes within this.
const BOUND: Duration = Duration::from_secs(60);

/// Between an answer and the next request.
const PAUSE: Duration = Duration::from_micros(300);

/// The proxy of the first service's first pod, fed by the API server, which calls that service.
pub(super) struct Caller {
    process: Running,
    outbound: SocketAddr,
}

impl Caller {
    pub(super) async fn start(stage: &Stage) -> Result<Self, BenchError> {
        let namespace = namespace(0);
        let identity = identity(stage, &namespace).await?;
        let token = stage.token(&namespace).await?;
        let (outbound, metrics) = (free()?, free()?);
        let state = tempfile::tempdir_in(stage.path(""))
            .map_err(BenchError::file(stage.path("")))?
            .keep();
        let mut command = Command::new(&stage.proxy);
        command
            .args(["--namespace", &namespace, "--service-account", "default"])
            .args(["--pod", &format!("{}-0", name(0)), "--workers", "1"])
            .args(["--outbound", &outbound.to_string()])
            .args(["--metrics", &metrics.to_string(), "--access-log", "off"])
            .args(["--config-api", "--api-server", &stage.url()])
            .arg("--api-token-file")
            .arg(token)
            .arg("--api-ca-file")
            .arg(stage.path("ca.crt"))
            .arg("--identity-dir")
            .arg(identity)
            .arg("--state-dir")
            .arg(&state);
        let process = Running::start("weft-proxy", command, state.with_extension("log"))?;
        process.until("was not ready within a minute", || {
            matches!(get(metrics, "localhost", "/ready"), Some((200, _)))
        })?;
        Ok(Self { process, outbound })
    }

    /// Calls until the answer is `edition`; says when that was.
    pub(super) async fn until_serves(&self, edition: &str) -> Result<Instant, BenchError> {
        let (outbound, wanted) = (self.outbound, edition.to_owned());
        let host = format!("{}.{}", name(0), namespace(0));
        let calls = move || {
            let began = Instant::now();
            while began.elapsed() < BOUND {
                let answer = get(outbound, &host, "/edition");
                if answer.is_some_and(|(_, body)| body == wanted.as_bytes()) {
                    return Some(Instant::now());
                }
                thread::sleep(PAUSE);
            }
            None
        };
        let served = tokio::task::spawn_blocking(calls).await.ok().flatten();
        served.ok_or_else(|| {
            self.process
                .error(format!("does not serve `{edition}` within a minute"))
        })
    }
}

/// The identity that the operator issued, as the kubelet would mount it.
async fn identity(stage: &Stage, namespace: &str) -> Result<PathBuf, BenchError> {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), namespace);
    let folder = stage.path("identity");
    std::fs::create_dir_all(&folder).map_err(BenchError::file(&folder))?;
    let began = Instant::now();
    loop {
        let secret = secrets.get_opt("weft-identity-default").await;
        if let Some(data) = secret
            .map_err(BenchError::api("an identity"))?
            .and_then(|secret| secret.data)
        {
            for (file, content) in data {
                let path = folder.join(Path::new(&file));
                std::fs::write(&path, content.0).map_err(BenchError::file(&path))?;
            }
            return Ok(folder);
        }
        if began.elapsed() > BOUND {
            return Err(BenchError::api("an identity")("none within a minute"));
        }
        sleep(Duration::from_millis(100)).await;
    }
}
