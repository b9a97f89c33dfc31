//! What else than plain HTTP requests the mesh carries.

use super::{Outcome, ensure, spiffe};
use crate::demo::{clients, mesh::Mesh};

/// One unary call and a stream of 100 messages, each with the caller's identity.
pub(super) async fn grpc(mesh: &Mesh) -> Outcome {
    const MESSAGES: u32 = 100;
    let outbound = mesh.workload("storefront-1")?.outbound();
    let (one, many) = clients::ratings(outbound, "ratings:9090", MESSAGES).await?;
    let caller = format!("URI={}", spiffe("storefront"));
    for rating in std::iter::once(&one).chain(&many) {
        ensure(rating.client_cert.ends_with(&caller), || {
            format!("ratings saw {:?} as its caller", rating.client_cert)
        })?;
    }
    let sequence: Vec<u32> = many.iter().map(|rating| rating.sequence).collect();
    ensure(sequence.into_iter().eq(0..MESSAGES), || {
        format!(
            "{} of {MESSAGES} messages came, or in another order",
            many.len()
        )
    })?;
    Ok(format!(
        "{:.1} stars by {}, {MESSAGES} messages",
        one.stars, one.instance
    ))
}

/// The server's first message carries what it knows of the caller.
pub(super) async fn web_socket(mesh: &Mesh) -> Outcome {
    let outbound = mesh.workload("storefront-1")?.outbound();
    let message = "weft ".repeat(4000);
    let (hello, echo) = clients::web_socket(outbound, "reviews:9080/ws", &message).await?;
    ensure(echo == message, || {
        format!(
            "{} bytes went out, {} others came back",
            message.len(),
            echo.len()
        )
    })?;
    ensure(hello.caller() == Some(&spiffe("storefront")), || {
        format!("reviews saw {:?} as its caller", hello.client_cert)
    })?;
    Ok(format!("{} bytes by {}", echo.len(), hello.by.instance))
}

/// A megabyte, after a greeting that comes before the client has sent a byte.
pub(super) async fn tcp(mesh: &Mesh) -> Outcome {
    let address = mesh.workload("storefront-1")?.ledger();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (greeting, echo) = clients::tcp_echo(address, &bytes).await?;
    ensure(greeting.starts_with("220 ledger"), || {
        format!("the greeting is {greeting:?}")
    })?;
    ensure(echo == bytes, || "other bytes came back".to_owned())?;
    Ok(format!("{greeting:?}, {} bytes", echo.len()))
}
