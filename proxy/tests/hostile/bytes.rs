use futures::StreamExt;
use weft_proxy::identity::MeshAlpn;

use crate::{
    mesh::{peer, spiffe},
    site::{Door, EVERY, Site, nothing_wrong},
    wire::{Answer, exchange},
};

/// A ClientHello that offers mesh TLS.
fn hello() -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"weft/h2".to_vec()];
    let name = "mesh.test".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

fn with(mut bytes: Vec<u8>, at: usize, what: &[u8]) -> Vec<u8> {
    bytes[at..at + what.len()].copy_from_slice(what);
    bytes
}

fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let hello = hello();
    let half = hello.len() / 2;
    // Record: type, version (2), length (2); handshake: type, length (3), version (2),
    // random (32), session id length.
    vec![
        ("one NUL", vec![0]),
        ("NULs", vec![0; 4096]),
        ("high bytes", vec![0xff; 4096]),
        ("every byte", (0..=255).cycle().take(8192).collect()),
        ("a megabyte of letters", vec![b'A'; 1 << 20]),
        ("a megabyte of line feeds", vec![b'\n'; 1 << 20]),
        ("a megabyte of spaces", vec![b' '; 1 << 20]),
        ("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("an SMTP greeting", b"EHLO evil.test\r\n".to_vec()),
        (
            "a PROXY header",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n".to_vec(),
        ),
        (
            "a PROXY v2 header",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec(),
        ),
        ("a first TLS byte", hello[..1].to_vec()),
        ("a TLS record's head", hello[..5].to_vec()),
        ("half a hello", hello[..half].to_vec()),
        (
            "a hello but its last byte",
            hello[..hello.len() - 1].to_vec(),
        ),
        (
            "a record of 65535 bytes",
            with(hello.clone(), 3, &[0xff, 0xff]),
        ),
        ("a record of no bytes", with(hello.clone(), 3, &[0, 0])),
        (
            "a hello of 16 MiB",
            with(hello.clone(), 6, &[0xff, 0xff, 0xff]),
        ),
        ("a hello of no bytes", with(hello.clone(), 6, &[0, 0, 0])),
        (
            "a session id beyond the end",
            with(hello.clone(), 43, &[0xff]),
        ),
        (
            "a hello in SSLv2",
            vec![0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10],
        ),
        (
            "garbage in a hello",
            with(vec![0xee; 600], 0, &[0x16, 3, 1, 2, 0x53]),
        ),
        ("a thousand empty records", [0x16, 3, 1, 0, 0].repeat(1000)),
        ("an alert", vec![0x15, 3, 3, 0, 2, 2, 40]),
        (
            "application data first",
            with(vec![7; 200], 0, &[0x17, 3, 3, 0, 195]),
        ),
        ("nothing", Vec::new()),
    ]
}

/// A TCP port hands on what it cannot name; everyone else refuses.
fn is_right(door: Door, sent: &[u8], answer: &Answer) -> bool {
    match door {
        Door::OutboundTcp | Door::InboundTcp => answer.closed || sent.starts_with(&answer.bytes),
        // TLS's own alert is a refusal too; so is an idle end without a word.
        _ if answer.statuses.is_empty() => answer.closed || sent.is_empty(),
        _ => answer.is_refusal(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_protocol_are_refused_at_every_listener() {
    let site = &Site::open(Vec::new()).await;
    let attacks = attacks();
    let pairs = EVERY.iter().flat_map(|door| {
        attacks
            .iter()
            .map(move |(what, bytes)| (*door, *what, bytes))
    });
    let wrong = futures::stream::iter(pairs)
        .map(|(door, what, bytes)| async move {
            // Without TLS also where TLS is wanted: that is the attack.
            let answer = exchange(site.dial(door).await, bytes).await;
            if !is_right(door, bytes, &answer) {
                return Some(format!(
                    "{door:?}, {what}: {:?} closed={} {:?}",
                    answer.statuses,
                    answer.closed,
                    answer.text()
                ));
            }
            let after = site.serves(door).await;
            after.err().map(|error| format!("after {what}: {error}"))
        })
        .buffer_unordered(64)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    nothing_wrong(wrong);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_inside_mesh_tls_is_refused() {
    let site = &Site::open(Vec::new()).await;
    let api = spiffe("shop", "api");
    let mut wrong = Vec::new();
    for (alpn, door) in [
        (MeshAlpn::Http1, Door::MeshHttp1),
        (MeshAlpn::H2, Door::MeshHttp2),
    ] {
        for bytes in [vec![0; 64], vec![0xff; 4096], vec![b'A'; 1 << 20], hello()] {
            let stream = peer::connect(site.client_identity(), site.address(door), &api, alpn);
            let answer = exchange(Box::new(stream.await.unwrap()), &bytes).await;
            if !answer.closed || !answer.is_refusal() {
                wrong.push(format!(
                    "{door:?}: {:?} {:?}",
                    answer.statuses,
                    answer.text()
                ));
            }
        }
    }
    nothing_wrong(wrong);
    assert_eq!(site.unharmed().await, Ok(()));
}
