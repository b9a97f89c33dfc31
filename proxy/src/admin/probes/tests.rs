use std::net::{IpAddr, Ipv4Addr};

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{AppProbe, Probes};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn probe(text: &str) -> AppProbe {
    let probes: Probes = format!("{{\"a/liveness\": {text}}}")
        .parse()
        .expect("it parses");
    probes.0["a/liveness"].clone()
}

/// Answers each connection with `answer` and gives back what was asked first.
async fn application(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    });
    (port, asked)
}

#[tokio::test]
async fn the_applications_answer_is_passed_on_and_it_sees_what_the_kubelet_would_send() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            StatusCode::OK,
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            StatusCode::OK,
        ),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad",
            StatusCode::INTERNAL_SERVER_ERROR,
        ),
    ] {
        let (port, asked) = application(answer).await;
        let probe = probe(&format!(
            "{{\"httpGet\": {{\"path\": \"/healthz?x=1\", \"port\": {port}, \"scheme\": \"HTTP\", \"httpHeaders\": [{{\"name\": \"Host\", \"value\": \"me\"}}]}}, \"timeoutSeconds\": 1}}"
        ));
        let agent = http::HeaderValue::from_static("kube-probe/1.35");
        let verdict = probe.ask(LOCAL, Some(agent)).await.unwrap();
        assert_eq!(verdict.status, expected);
        let asked = asked.await.unwrap();
        assert!(
            asked.starts_with("GET /healthz?x=1 HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.contains("host: me\r\n"), "{asked}");
        assert!(asked.contains("user-agent: kube-probe/1.35\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn a_port_that_is_closed_is_unhealthy_and_one_that_is_open_is_healthy() {
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = probe(&format!(
        "{{\"tcpSocket\": {{\"port\": {port}}}, \"timeoutSeconds\": 1}}"
    ));
    assert_eq!(probe.ask(LOCAL, None).await.unwrap().status, StatusCode::OK);
    drop(listener);
    assert!(probe.ask(LOCAL, None).await.is_err());
}

#[test]
fn probes_that_mean_nothing_are_refused() {
    for text in [
        "",
        "[]",
        "{\"a\": {}}",
        "{\"a\": {\"tcpSocket\": {\"port\": 70000}, \"timeoutSeconds\": 1}}",
    ] {
        assert!(text.parse::<Probes>().is_err(), "{text}");
    }
}
