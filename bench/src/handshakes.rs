//! Handshakes of mutual TLS, full and resumed: a connection, one request, and the end.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{
    BenchError, cpu,
    figures::Figure,
    hop::Peer,
    path::{Counted, Effort, summed},
    peers::weft::{CALLEE, caller},
    running::Core,
    scenario::{Scenario, Stage},
};

/// Handshakes of a round.
const COUNT: u32 = 1200;

/// Connections at once.
const THREADS: u32 = 8;

/// Measures full handshakes, then resumed ones.
pub fn measure(stage: &Stage, effort: &Effort) -> Result<Vec<Figure>, BenchError> {
    let mut subjects = Vec::new();
    for peer in Scenario::Termination.peers().iter().copied() {
        let deployment = stage.deploy(
            Scenario::Termination,
            peer,
            Core::Measured,
            &|_, command| command,
        )?;
        let identity = match peer {
            Peer::WeftInbound => caller(&deployment.room),
            _ => stage.pki.client.clone(),
        };
        let deployment = Arc::new(deployment);
        for resumed in [false, true] {
            let config = client(&identity, resumed)
                .map_err(|error| BenchError::Manifest(format!("a TLS client: {error}")))?;
            subjects.push((
                peer,
                resumed,
                deployment.clone(),
                Arc::new(config),
                Vec::new(),
            ));
        }
    }
    let count = if effort.rounds > 1 { COUNT } else { COUNT / 10 };
    for number in 0..=effort.rounds {
        for (peer, resumed, deployment, config, rounds) in &mut subjects {
            let pids = deployment.pids();
            let span = cpu::Span::begin(&pids, &stage.known());
            let failed = |error: io::Error| {
                let reason = format!("a handshake with {}: {error}", peer.name());
                deployment.proxies.last().map_or_else(
                    || BenchError::Manifest(reason.clone()),
                    |proxy| proxy.error(reason.clone()),
                )
            };
            send(deployment.front, config, count).map_err(failed)?;
            let spent = span.end();
            // The first round warms.
            if number > 0 {
                let round = Counted::of(spent, u64::from(count));
                eprintln!(
                    "handshakes round {number} {}{}: {:.3} CPU-s per 10,000, others used {:.0} %",
                    peer.name(),
                    if *resumed { ", resumed" } else { "" },
                    round.cpu,
                    round.foreign * 100.0
                );
                rounds.push(round);
            }
        }
    }
    let figures = subjects.iter().map(|(peer, resumed, _, _, rounds)| {
        let name = match peer {
            Peer::WeftInbound => "weft",
            Peer::Hyper => "hyper + rustls (floor)",
            peer => peer.name(),
        };
        let kind = if *resumed { "resumed" } else { "full" };
        summed(format!("{name}, {kind}"), rounds)
    });
    Ok(figures.collect())
}

fn send(address: SocketAddr, config: &Arc<ClientConfig>, count: u32) -> io::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| (0..count / THREADS).try_for_each(|_| one(address, config.clone())))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = |_| io::Error::other("a client's thread panicked");
            thread.join().map_err(panicked)?
        })
    })
}

fn one(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let name = ServerName::try_from(crate::pki::NAME).map_err(io::Error::other)?;
    let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {CALLEE}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // Not everybody says goodbye.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    let start = String::from_utf8_lossy(answer.get(..answer.len().min(60)).unwrap_or_default());
    Err(io::Error::other(format!("answered `{start}`")))
}

fn client(folder: &Path, resumed: bool) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(folder.join("tls.crt"))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"weft/http1".to_vec(), b"http/1.1".to_vec()];
    if !resumed {
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

/// Takes any server: the benchmark started it, and its own checking is not what is measured.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What this section is called, and what happens in it.
pub const SECTION: (&str, &str, &str) = (
    "handshakes",
    "Handshakes of mutual TLS",
    "A connection, a handshake, one request, the end: CPU-seconds of the terminating proxy for \
     10,000 of them. `resumed`: the client offers the ticket that it was given.",
);

/// Full handshakes of Weft against those of a peer.
pub fn ratio(figures: &[Figure], peer: &str) -> Option<f64> {
    let of = |name: &str| {
        let name = format!("{name}, full");
        figures
            .iter()
            .find(|figure| figure.peer == name)
            .map(|figure| figure.cpu.median)
    };
    Some(of("weft")? / of(peer)?)
}
