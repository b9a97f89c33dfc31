use std::time::Duration;

use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    frames,
    site::{BOUND, Connection, Door, EVERY, HEADER_TIMEOUT, HTTP1, HTTP2, Site, nothing_wrong},
    wire,
};

/// Bytes of memory that a process holds.
pub fn resident(process: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// How long it takes until the peer closes while `drip` is sent every 100 ms.
async fn until_closed(connection: Connection, begin: &[u8], drip: &[u8]) -> Option<Duration> {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let began = Instant::now();
    let write = async {
        let mut open = writer.write_all(begin).await.is_ok();
        while open {
            let _ = writer.flush().await;
            sleep(Duration::from_millis(100)).await;
            open = writer.write_all(drip).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut buffer = [0; 4096];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let closed = timeout(BOUND, async {
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    });
    closed.await.ok().map(|()| began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_come_too_slowly_are_cut_off() {
    let site = &Site::open(Vec::new()).await;
    let block = frames::block(&frames::good("api.shop:80", "/public/x"));
    let open = [
        frames::preface(),
        frames::frame(frames::HEADERS, frames::END_STREAM, 1, &block),
    ]
    .concat();
    let half = &open[..open.len() - 10];
    let more = frames::frame(frames::CONTINUATION, 0, 1, &frames::block(&[("x", "y")]));
    let first: &[(&str, &[u8], &[u8])] = &[
        (
            "a header that never ends",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
            b"y",
        ),
        (
            "headers that never end",
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"X: y\r\n",
        ),
        ("a request line that never ends", b"GET /", b"a"),
        ("a method that never ends", b"G", b"E"),
        ("half a head and silence", b"GET / HTTP/1.1\r\nHo", b""),
    ];
    let second: &[(&str, &[u8], &[u8])] = &[
        ("half a header block and silence", half, b""),
        ("a header block that never ends", &open, &more),
    ];
    // One byte of the preface decides nothing: only where both protocols are spoken.
    let undecided: &[(&str, &[u8], &[u8])] = &[("half a preface and silence", b"PRI * HT", b"")];
    let cases = HTTP1
        .iter()
        .flat_map(|door| first.iter().chain(undecided).map(move |case| (*door, case)))
        .chain(
            HTTP2
                .iter()
                .flat_map(|door| second.iter().map(move |case| (*door, case))),
        )
        .chain([(Door::MeshHttp2, &undecided[0])]);
    let wrong = futures::stream::iter(cases)
        .map(|(door, (what, begin, drip))| async move {
            let took = until_closed(site.connect(door).await, begin, drip).await;
            // The time-out, how often it is looked after, and a slow machine.
            let bound = HEADER_TIMEOUT * 3;
            match took {
                Some(took) if took < bound => None,
                took => Some(format!("{door:?}, {what}: closed after {took:?}")),
            }
        })
        .buffer_unordered(100)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    nothing_wrong(wrong);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_no_slow_head() {
    let site = &Site::open(Vec::new()).await;
    let doors = [Door::OutboundHost, Door::MeshHttp1, Door::Gateway];
    futures::future::join_all(doors.map(|door| async move {
        let mut connection = site.connect(door).await;
        for _ in 0..2 {
            let request = wire::get(Site::host(door), "/public/x");
            connection.write_all(&request).await.unwrap();
            connection.flush().await.unwrap();
            let mut answer = [0; 12];
            let read = timeout(BOUND, connection.read_exact(&mut answer)).await;
            read.unwrap().unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200", "{door:?}");
            // Read the rest, and stay longer than a head may take.
            let mut rest = vec![0; 4096];
            let end = Instant::now() + HEADER_TIMEOUT * 3 / 2;
            while let Ok(read) = timeout_at(end, connection.read(&mut rest)).await {
                assert!(read.unwrap() > 0, "{door:?} closed an idle connection");
            }
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_applications_own_connection_may_wait_with_its_first_request() {
    let site = &Site::open(Vec::new()).await;
    let doors = [Door::OutboundHost, Door::OutboundService];
    futures::future::join_all(doors.map(|door| async move {
        let mut connection = site.connect(door).await;
        let mut answer = [0; 12];
        let early = timeout(HEADER_TIMEOUT * 3 / 2, connection.read(&mut answer)).await;
        assert!(early.is_err(), "{door:?}: {early:?}");
        let request = wire::get(Site::host(door), "/public/x");
        connection.write_all(&request).await.unwrap();
        connection.flush().await.unwrap();
        let read = timeout(BOUND, connection.read_exact(&mut answer)).await;
        read.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200", "{door:?}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_silent_connections_at_each_listener_keep_no_one_out() {
    let site = &Site::open(Vec::new()).await;
    let mut held = Vec::new();
    for door in EVERY {
        for _ in 0..100 {
            held.push(site.dial(door).await);
        }
    }
    assert_eq!(site.unharmed().await, Ok(()));
    drop(held);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_attacks_of_each_kind_leave_no_memory_behind() {
    let site = &Site::open(Vec::new()).await;
    let host = "api.shop:80";
    let fields: Vec<_> = std::iter::repeat_n(("x", "y"), 300).collect();
    let lines: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let head = |lines: &str| format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    let first: Vec<Vec<u8>> = vec![
        vec![0xff; 4096],
        head(&lines).into_bytes(),
        head(&format!("X: {}\r\n", "a".repeat(1 << 20))).into_bytes(),
        format!("{}zz\r\n", head("Transfer-Encoding: chunked\r\n")).into_bytes(),
        head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n").into_bytes(),
        // A body that breaks off.
        format!("{}half", head("Content-Length: 100\r\n")).into_bytes(),
        // Many hosts: no table may keep them.
        head("Host: evil.test\r\n").into_bytes(),
    ];
    let mut second = frames::good(host, "/public/x");
    second.extend(fields);
    let second = frames::request(&second);
    let first = &first;
    let round = |count: usize| {
        let second = &second;
        let attacks = (0..count).flat_map(move |n| {
            let old = HTTP1[n % 5];
            let new = HTTP2[n % 5];
            first
                .iter()
                .map(move |bytes| (old, bytes))
                .chain([(new, second)])
        });
        futures::stream::iter(attacks)
            .map(|(door, bytes)| async move {
                let (mut reader, mut writer) = tokio::io::split(site.connect(door).await);
                let mut buffer = vec![0; 4096];
                // Until there is any answer; then gone without a word.
                let write = async {
                    let _ = writer.write_all(bytes).await;
                    let _ = writer.flush().await;
                    let half_done = bytes.ends_with(b"half");
                    if !half_done {
                        std::future::pending::<()>().await;
                    }
                };
                let read = async {
                    let _ = reader.read(&mut buffer).await;
                };
                let _ = timeout(BOUND, async {
                    tokio::select! { () = write => {}, () = read => {} }
                })
                .await;
            })
            .buffer_unordered(16)
            .for_each(|()| async {})
    };
    let processes = [site.server.id(), site.client.id(), site.gateway.id()];
    round(50).await;
    assert_eq!(site.unharmed().await, Ok(()));
    let before = processes.map(resident);
    round(300).await;
    assert_eq!(site.unharmed().await, Ok(()));
    for (process, before) in processes.into_iter().zip(before) {
        let grown = resident(process).saturating_sub(before);
        assert!(grown < 32 << 20, "process {process} grew by {grown} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_attackers_choose_make_no_new_series() {
    let site = &Site::open(Vec::new()).await;
    let series = || async {
        let (_, text) = crate::mesh::http_get(site.client.metrics, "/metrics")
            .await
            .unwrap();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let call = |n: usize| async move {
        let request = format!(
            "M{n} /path/{n} HTTP/1.1\r\nHost: evil-{n}.test\r\nUser-Agent: evil/{n}\r\n\r\n"
        );
        let connection = site.connect(Door::OutboundHost).await;
        let answer = wire::exchange(connection, request.as_bytes()).await;
        assert_eq!(answer.statuses, [404]);
    };
    call(0).await;
    let before = series().await;
    futures::future::join_all((1..100).map(call)).await;
    let after = series().await;
    assert!(after <= before + 20, "{before} series became {after}");
}
