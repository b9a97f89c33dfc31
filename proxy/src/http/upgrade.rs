//! WebSocket and whatever else leaves HTTP: once both sides have switched, bytes go through
//! unread until one side ends or nothing comes for the idle time-out.

use std::{
    io,
    pin::pin,
    time::{Duration, Instant},
};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep_until,
};

use super::{attempt::Answered, observation::Observation, request_body::Activity};
use crate::drain::Drain;

/// Bytes read at once in each direction.
const BUFFER: usize = 16 * 1024;

/// How long either side may take to switch after the 101.
const SWITCH_WITHIN: Duration = Duration::from_secs(10);

/// Both sides of a switched connection.
pub(super) struct Tunnel {
    pub client: OnUpgrade,
    pub server: OnUpgrade,
    pub answered: Answered,
    pub observation: Box<Observation>,
    pub idle: Duration,
    pub drain: Drain,
}

impl Tunnel {
    /// Carries bytes until the end. Counts against the drain as an open connection.
    pub(super) async fn run(self) {
        let Self {
            client,
            server,
            answered,
            mut observation,
            idle,
            drain,
        } = self;
        let _open = drain.open();
        let _answered = answered;
        let both = async { tokio::try_join!(client, server) };
        let (client, server) = match tokio::time::timeout(SWITCH_WITHIN, both).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection did not switch protocols");
                observation.flag = Some("upgrade_failed");
                return;
            }
            Err(_) => {
                observation.flag = Some("upgrade_failed");
                return;
            }
        };
        let (sent, received, flag) = copy(client, server, idle).await;
        let bytes = &observation.request_bytes;
        bytes.set(bytes.get().saturating_add(sent));
        observation.response_bytes = observation.response_bytes.saturating_add(received);
        if flag.is_some() {
            observation.flag = flag;
        }
    }
}

async fn copy(
    client: Upgraded,
    server: Upgraded,
    idle: Duration,
) -> (u64, u64, Option<&'static str>) {
    let (mut client_reads, mut client_writes) = tokio::io::split(TokioIo::new(client));
    let (mut server_reads, mut server_writes) = tokio::io::split(TokioIo::new(server));
    let activity = Activity::new(Instant::now());
    let (mut sent, mut received) = (0, 0);
    let flag = {
        let mut up = pin!(pump(
            &mut client_reads,
            &mut server_writes,
            &activity,
            &mut sent
        ));
        let mut down = pin!(pump(
            &mut server_reads,
            &mut client_writes,
            &activity,
            &mut received
        ));
        let (mut up_ended, mut down_ended) = (false, false);
        loop {
            let idle_ends = activity.last() + idle;
            tokio::select! {
                result = &mut up, if !up_ended => match result {
                    Ok(()) => up_ended = true,
                    Err(_) => break Some("downstream_reset"),
                },
                result = &mut down, if !down_ended => match result {
                    Ok(()) => down_ended = true,
                    Err(_) => break Some("upstream_reset"),
                },
                () = sleep_until(idle_ends.into()) => {
                    if activity.last() + idle <= Instant::now() {
                        break Some("timeout_idle");
                    }
                }
            }
            if up_ended && down_ended {
                break None;
            }
        }
    };
    (sent, received, flag)
}

/// One direction, to its end; the end is handed on (half-close).
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    activity: &Activity,
    count: &mut u64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            to.shutdown().await?;
            return Ok(());
        };
        to.write_all(bytes).await?;
        to.flush().await?;
        *count = count.saturating_add(read as u64);
        activity.touch();
    }
}
