use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use weft_engine::{
    identity::SpiffeId,
    report::{ALPN, PATH},
};

use super::super::{Answer, Refusal, listen};
use crate::{
    identity::{Authority, Identity},
    metrics::Metrics,
};

const BOUND: Duration = Duration::from_secs(10);

/// An operator's door, behind which somebody answers.
struct Door {
    address: SocketAddr,
    authority: Arc<Authority>,
    stop: CancellationToken,
}

fn authority(trust_domain: &str) -> Arc<Authority> {
    let now = OffsetDateTime::now_utc();
    let stored = Authority::generate(trust_domain, now).unwrap();
    Arc::new(Authority::load(&stored, trust_domain, now).unwrap())
}

fn issue(authority: &Authority, id: &str) -> Identity {
    let id: SpiffeId = id.parse().unwrap();
    let lifetime = Duration::from_secs(600);
    let now = OffsetDateTime::now_utc();
    authority.issue(&id, lifetime, now).unwrap()
}

impl Door {
    /// Whoever answers takes what comes from shop/reviews and knows nobody else.
    async fn open() -> Self {
        // The listener wants to know its port before anything listens there.
        let probe = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let authority = authority("cluster.local");
        let (sender, news) = watch::channel(None);
        let stop = CancellationToken::new();
        let id = SpiffeId::new("cluster.local", "weft-system", "weft-operator").unwrap();
        let (mut reports, serve) = listen(address, id, news, Metrics::new(), stop.clone())
            .await
            .unwrap();
        tokio::spawn(serve);
        sender.send_replace(Some(authority.clone()));
        tokio::spawn(async move {
            let _authority = sender;
            while let Some(told) = reports.recv().await {
                let known = told.from.to_string() == "shop/reviews";
                let answer = match (known, told.report.base) {
                    (false, _) => Answer::UnknownPod,
                    (true, None) => Answer::Taken(Duration::from_secs(30)),
                    (true, Some(0)) => Answer::NotLeading,
                    (true, Some(_)) => Answer::Refused(Refusal::Everything),
                };
                told.answer.send(answer).unwrap();
            }
        });
        Self {
            address,
            authority,
            stop,
        }
    }

    /// What is answered to a report, as its status and its body; `None`: no connection.
    async fn post(&self, identity: Option<&Identity>, body: &[u8]) -> Option<(u16, String)> {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await.ok()?;
            let connector = TlsConnector::from(Arc::new(client(identity)));
            let name = ServerName::try_from("operator").unwrap();
            let mut stream = connector.connect(name, stream).await.ok()?;
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            // A body that is too long is not read to its end.
            let _ = stream.write_all(body).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let status = head.split(' ').nth(1)?.parse().ok()?;
            Some((status, body.to_owned()))
        };
        timeout(BOUND, exchange).await.unwrap()
    }

    /// The same, once the certificate is issued.
    async fn answer(&self, identity: &Identity, body: &str) -> (u16, String) {
        for _ in 0..500 {
            if let Some(answer) = self.post(Some(identity), body.as_bytes()).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the door stays shut");
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const EVERYTHING: &str = r#"{"pod": "reviews-0", "boot": "1", "sequence": 1}"#;

#[tokio::test]
async fn a_workload_of_the_mesh_is_answered_as_the_account_of_its_certificate() {
    let door = Door::open().await;
    let reviews = issue(&door.authority, "spiffe://cluster.local/ns/shop/sa/reviews");
    let (status, body) = door.answer(&reviews, EVERYTHING).await;
    assert_eq!((status, &*body), (200, r#"{"heartbeatSeconds":30}"#));
    for (base, expected) in [(0, 421), (7, 409)] {
        let report = EVERYTHING.replace("\"sequence\"", &format!("\"base\": {base}, \"sequence\""));
        assert_eq!(door.answer(&reviews, &report).await.0, expected);
    }
    // Another account's pod is nobody's to speak for.
    let ratings = issue(&door.authority, "spiffe://cluster.local/ns/shop/sa/ratings");
    assert_eq!(door.answer(&ratings, EVERYTHING).await.0, 403);
}

#[tokio::test]
async fn strangers_are_not_let_in() {
    let door = Door::open().await;
    let reviews = issue(&door.authority, "spiffe://cluster.local/ns/shop/sa/reviews");
    assert_eq!(door.answer(&reviews, EVERYTHING).await.0, 200);
    // No certificate; another CA's; this CA's for another trust domain.
    let body = EVERYTHING.as_bytes();
    assert_eq!(door.post(None, body).await, None);
    let other = authority("cluster.local");
    let forged = issue(&other, "spiffe://cluster.local/ns/shop/sa/reviews");
    assert_eq!(door.post(Some(&forged), body).await, None);
    let elsewhere = issue(&door.authority, "spiffe://other.example/ns/shop/sa/reviews");
    assert_eq!(door.post(Some(&elsewhere), body).await, None);
    // And whoever was let in, still is.
    assert_eq!(door.answer(&reviews, EVERYTHING).await.0, 200);
}

#[tokio::test]
async fn what_is_no_report_or_too_much_of_one_is_refused() {
    let door = Door::open().await;
    let reviews = issue(&door.authority, "spiffe://cluster.local/ns/shop/sa/reviews");
    for nonsense in [
        "",
        "{}",
        "[1, 2",
        r#"{"pod": "p", "boot": "1", "sequence": -1}"#,
        r#"{"pod": "p", "boot": "1", "sequence": 1, "active": {"no-such-kind.x": {"digest": "1"}}}"#,
    ] {
        assert_eq!(door.answer(&reviews, nonsense).await.0, 400, "{nonsense}");
    }
    let long = vec![b' '; 5 << 20];
    let answer = door.post(Some(&reviews), &long).await;
    assert!(
        answer.as_ref().is_none_or(|(status, _)| *status == 413),
        "{answer:?}"
    );
    assert_eq!(door.answer(&reviews, EVERYTHING).await.0, 200);
}

fn client(identity: Option<&Identity>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            let chain = chain.collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![ALPN.as_bytes().to_vec()];
    config
}

/// Talks to anybody: what the operator proves is the proxy's to verify.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
