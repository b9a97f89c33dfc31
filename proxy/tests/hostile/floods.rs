use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, block, frame, good, preface,
    },
    pressure::resident,
    site::{Connection, Door, HTTP2, Site},
};

/// What one flood may cost a proxy, its debug build and allocator included.
const MOST: u64 = 48 << 20;

/// How long a flood is written for, if it is taken at all.
const FLOOD: Duration = Duration::from_secs(1);

/// Writes as much of `bytes` as the peer takes. Reads nothing meanwhile if `deaf`.
async fn flood(connection: Connection, bytes: &[u8], deaf: bool) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let write = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.flush().await;
    };
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while !deaf && reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        std::future::pending::<()>().await;
    };
    let _ = timeout(FLOOD, async {
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    })
    .await;
}

fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let host = "api.shop:80";
    let whole = block(&good(host, "/public/x"));
    let after = |frames: Vec<u8>| [preface(), frames].concat();
    let streams = |count: u32, frames: &dyn Fn(u32) -> Vec<u8>| {
        after((0..count).flat_map(|n| frames(2 * n + 1)).collect())
    };
    let open = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &whole);
    vec![
        (
            "rapid reset",
            streams(3000, &|stream| {
                [open(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            }),
        ),
        (
            "resets that we are made to send",
            streams(3000, &|stream| {
                [open(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
            }),
        ),
        (
            "data after the end",
            streams(3000, &|stream| {
                [open(stream), frame(DATA, 0, stream, b"x")].concat()
            }),
        ),
        ("streams without number", streams(10_000, &open)),
        (
            "heads without an end",
            streams(1, &|stream| frame(HEADERS, 0, stream, &whole))
                .into_iter()
                .chain(frame(CONTINUATION, 0, 1, &[]).repeat(100_000))
                .collect(),
        ),
        (
            "fields without an end",
            streams(1, &|stream| frame(HEADERS, 0, stream, &whole))
                .into_iter()
                .chain(frame(CONTINUATION, 0, 1, &block(&[("x", "y"); 1000])).repeat(1000))
                .collect(),
        ),
        (
            "SETTINGS",
            after(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(100_000)),
        ),
        ("PING", after(frame(PING, 0, 0, &[7; 8]).repeat(100_000))),
        (
            "PRIORITY",
            after(frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).repeat(100_000)),
        ),
        (
            "WINDOW_UPDATE",
            after(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(100_000)),
        ),
        (
            "empty DATA",
            streams(1, &|stream| frame(HEADERS, END_HEADERS, stream, &whole))
                .into_iter()
                .chain(frame(DATA, 0, 1, &[]).repeat(100_000))
                .collect(),
        ),
        (
            "unknown frames",
            after(frame(0xfa, 0, 0, &[1; 64]).repeat(50_000)),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_cost_bounded_memory_and_starve_no_one() {
    let site = &Site::open(Vec::new()).await;
    let before = HTTP2.map(|door| resident(site.process(door)));
    let mut slowest = Duration::ZERO;
    for (what, bytes) in &floods() {
        let storm = futures::future::join_all(HTTP2.iter().flat_map(|door| {
            [true, false].map(|deaf| async move {
                flood(site.connect(*door).await, bytes, deaf).await;
            })
        }));
        // Others are served in the storm, not only after it.
        let calm = async {
            let begin = Instant::now();
            for door in HTTP2 {
                let served = site.serves(door).await;
                assert_eq!(served, Ok(()), "during {what}");
            }
            begin.elapsed()
        };
        let (_, took) = futures::join!(storm, calm);
        slowest = slowest.max(took);
    }
    assert_eq!(site.unharmed().await, Ok(()));
    for (door, before) in HTTP2.iter().zip(before) {
        let grown = resident(site.process(*door)).saturating_sub(before);
        assert!(grown < MOST, "{door:?} grew by {grown} bytes");
    }
    eprintln!("five good requests took at most {slowest:?} under a flood");
}

/// A client that asks for much and takes nothing: its responses wait in bounded buffers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_open_no_window_cost_bounded_memory() {
    stall(&[0, 4, 0, 0, 0, 0], &[]).await;
}

/// The same with the widest windows, and a socket that is not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_cost_bounded_memory() {
    let window = frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]);
    stall(&[0, 4, 0x7f, 0xff, 0xff, 0xff], &window).await;
}

async fn stall(settings: &[u8], further: &[u8]) {
    const CONNECTIONS: usize = 4;
    const STREAMS: u32 = 16;
    let site = &Site::open(Vec::new()).await;
    for door in [Door::OutboundHost, Door::MeshHttp2, Door::Gateway] {
        let before = resident(site.process(door));
        let mut bytes = crate::frames::PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, settings));
        bytes.extend(further);
        let whole = block(&good(Site::host(door), "/public/big"));
        for n in 0..STREAMS {
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &whole));
        }
        let asked = site.app.count();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = site.connect(door).await;
            connection.write_all(&bytes).await.unwrap();
            connection.flush().await.unwrap();
            held.push(connection);
        }
        crate::mesh::eventually("every request has come through", || async {
            (site.app.count() >= asked + CONNECTIONS * STREAMS as usize).then_some(())
        })
        .await;
        // All is served to others while these stand.
        for other in [
            Door::OutboundHost,
            Door::MeshHttp2,
            Door::MeshHttp1,
            Door::Gateway,
        ] {
            assert_eq!(
                site.serves(other).await,
                Ok(()),
                "beside a stalled {door:?}"
            );
        }
        let grown = resident(site.process(door)).saturating_sub(before);
        // 64 responses of 4 MiB are 256 MiB; what may be kept of each is 512 KiB.
        assert!(grown < 64 << 20, "{door:?} keeps {grown} bytes");
        drop(held);
    }
    assert_eq!(site.unharmed().await, Ok(()));
}
