//! What is left of a service that was withdrawn: nothing.

mod mesh;

use std::net::SocketAddr;

use mesh::{Member, Mesh, eventually, fresh_address};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_engine::documents::{DocumentName, OutlierDetection, Protocol};

async fn status(outbound: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(outbound).await.expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    back.chars().skip("HTTP/1.1 ".len()).take(3).collect()
}

#[tokio::test]
async fn the_gauge_of_a_withdrawn_service_goes_and_comes_back_with_it() {
    let mesh = Mesh::new();
    mesh.inbound("shop", &[], |_| {});
    let publish = || {
        // A lone endpoint is never ejected; of two, one is at its first failure: only then there
        // is a gauge.
        let nobody = [fresh_address(), fresh_address()].map(Member::plain);
        mesh.service(("shop", "gone"), 80, Protocol::Http, &nobody, |port| {
            port.policy.outlier_detection = Some(OutlierDetection {
                consecutive_gateway_errors: 1,
                ..OutlierDetection::default()
            });
        });
    };
    publish();
    let proxy = mesh.proxy("shop", "caller").workers(1).start().await;
    let gauge = || async {
        let (_, text) = mesh::http_get(proxy.metrics, "/metrics").await?;
        let is_it =
            |line: &str| line.starts_with("weft_outlier_ejections{") && line.contains("\"gone\"");
        Some(text.lines().any(is_it))
    };
    assert_eq!(status(proxy.outbound, "gone.shop").await, "503");
    eventually("the gauge", || async { gauge().await.filter(|is| *is) }).await;
    mesh.withdraw(&DocumentName::Service("shop".to_owned(), "gone".to_owned()));
    eventually("its end", || async { gauge().await.filter(|is| !*is) }).await;
    assert_eq!(status(proxy.outbound, "gone.shop").await, "404");
    publish();
    eventually("the service", || async {
        (status(proxy.outbound, "gone.shop").await == "503").then_some(())
    })
    .await;
    eventually("the gauge", || async { gauge().await.filter(|is| *is) }).await;
}
