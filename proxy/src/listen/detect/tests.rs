use super::*;

const LOOK: Look = Look {
    tls: true,
    http: true,
    patience: SNIFF_TIMEOUT,
};

/// A ClientHello that offers these ALPN protocols.
fn hello(protocols: &[&[u8]]) -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let name = "a.test".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// What is found when the bytes come in pieces of `step`, and nothing after them.
async fn found(bytes: &[u8], step: usize, look: Look) -> Spoken {
    let mut mock = tokio_pieces(bytes, step);
    let (spoken, read) = detect(&mut mock, look).await;
    assert_eq!(&read[..], &bytes[..read.len()], "every byte is kept");
    spoken
}

/// A reader that gives `step` bytes at a time and then stays silent.
fn tokio_pieces(bytes: &[u8], step: usize) -> Pieces {
    Pieces {
        bytes: bytes.to_vec(),
        step,
        at: 0,
    }
}

struct Pieces {
    bytes: Vec<u8>,
    step: usize,
    at: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let step = self.step.min(buf.remaining());
        let end = (self.at + step).min(self.bytes.len());
        if self.at == end {
            // The deadline's timer wakes the task.
            return std::task::Poll::Pending;
        }
        buf.put_slice(&self.bytes[self.at..end]);
        self.at = end;
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn every_protocol_is_told_however_its_bytes_are_cut() {
    let mesh = hello(&[b"weft/h2"]);
    let mixed = hello(&[b"h2", b"weft/tcp"]);
    let app = hello(&[b"h2", b"http/1.1"]);
    let none = hello(&[]);
    let cases: &[(&[u8], Spoken)] = &[
        (&mesh, Spoken::MeshTls),
        (&mixed, Spoken::MeshTls),
        (&app, Spoken::AppTls),
        (&none, Spoken::AppTls),
        (b"GET / HTTP/1.1\r\n", Spoken::Http),
        (b"PATCH http://a/ HTTP/1.1\r\n", Spoken::Http),
        (b"OPTIONS * HTTP/1.1\r\n", Spoken::Http),
        (b"CONNECT a:443 HTTP/1.1\r\n", Spoken::Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Spoken::Http),
        (b"GET key\r\n", Spoken::Other),
        (b"SET key value\r\n", Spoken::Other),
        (b"EHLO here\r\n", Spoken::Other),
        (b"*1\r\n$4\r\nPING\r\n", Spoken::Other),
        (b"get / http/1.1\r\n", Spoken::Other),
        // A request line all the same: the parser answers it.
        (b"PRI * HTTP/3.0\r\n", Spoken::Http),
        (b" GET / HTTP/1.1\r\n", Spoken::Other),
        (b"\x00\x01", Spoken::Other),
        (b"\x15\x03\x01", Spoken::Other),
    ];
    for (bytes, expected) in cases {
        for step in [1, 3, 1000, 1 << 20] {
            let spoken = found(bytes, step, LOOK).await;
            assert_eq!(
                spoken,
                *expected,
                "{:?} by {step}",
                bytes.escape_ascii().to_string()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_bounded() {
    let begin = Instant::now();
    assert_eq!(found(b"", 1, LOOK).await, Spoken::Silence);
    assert_eq!(begin.elapsed().as_millis(), 200);
    let begin = Instant::now();
    assert_eq!(found(b"GE", 1, LOOK).await, Spoken::Other);
    assert!(begin.elapsed() <= Duration::from_millis(201));
    let begin = Instant::now();
    let half = &hello(&[b"weft/h2"])[..100];
    assert_eq!(found(half, 1, LOOK).await, Spoken::BrokenHello);
    assert!(begin.elapsed() <= HELLO_TIMEOUT + Duration::from_millis(1));
}

#[tokio::test]
async fn what_is_not_looked_for_is_something_else() {
    let plain = Look { tls: false, ..LOOK };
    assert_eq!(found(&hello(&[b"weft/h2"]), 64, plain).await, Spoken::Other);
    let only_tls = Look {
        http: false,
        ..LOOK
    };
    assert_eq!(
        found(b"GET / HTTP/1.1\r\n", 64, only_tls).await,
        Spoken::Other
    );
}

#[tokio::test]
async fn a_hello_without_end_is_given_up_at_the_bound() {
    // Records of handshake bytes that announce a message of 16 MiB.
    let mut bytes = Vec::new();
    for _ in 0..20 {
        bytes.extend([0x16, 3, 1, 0x10, 0]);
        bytes.extend([1, 0xff, 0xff, 0xff]);
        bytes.extend([0; 4092]);
    }
    assert_eq!(found(&bytes, 1024, LOOK).await, Spoken::BrokenHello);
}

#[tokio::test]
async fn a_closed_connection_is_told_from_a_silent_one() {
    let (spoken, bytes) = detect(&mut tokio::io::empty(), LOOK).await;
    assert_eq!((spoken, bytes.len()), (Spoken::Closed, 0));
}
