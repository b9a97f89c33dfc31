use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

type Copying = tokio::task::JoinHandle<(Copied, Result<(), CopyError>)>;

/// A client and a server with the copy between them.
fn between(buffer: usize, idle: Duration) -> (DuplexStream, DuplexStream, Copying) {
    let (client, mut client_side) = duplex(buffer);
    let (mut server_side, server) = duplex(buffer);
    let copy =
        tokio::spawn(async move { copy_both(&mut client_side, &mut server_side, idle).await });
    (client, server, copy)
}

#[tokio::test]
async fn every_byte_arrives_in_order_through_small_buffers() {
    let (client, server, copy) = between(7, Duration::ZERO);
    let up: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let down: Vec<u8> = (0..300_000_u32).map(|n| (n % 241) as u8).collect();
    let run = |mut stream: DuplexStream, give: Vec<u8>, want: usize| async move {
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let mut got = Vec::with_capacity(want);
        let write = async {
            writer.write_all(&give).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let (read, ()) = tokio::join!(reader.read_to_end(&mut got), write);
        read.unwrap();
        got
    };
    let (at_client, at_server) = tokio::join!(
        run(client, up.clone(), down.len()),
        run(server, down.clone(), up.len())
    );
    assert!(at_server == up && at_client == down);
    let (copied, result) = copy.await.unwrap();
    result.unwrap();
    assert_eq!((copied.sent, copied.received), (200_000, 300_000));
}

#[tokio::test]
async fn one_direction_ends_and_the_other_goes_on() {
    let (mut client, mut server, copy) = between(1024, Duration::ZERO);
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = Vec::new();
    server.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
    copy.await.unwrap().1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_ends_it_and_any_byte_puts_that_off() {
    let idle = Duration::from_secs(10);
    let begin = Instant::now();
    let (mut client, mut server, copy) = between(1024, idle);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        server.write_all(b".").await.unwrap();
        client.read_u8().await.unwrap();
    }
    let (_, result) = copy.await.unwrap();
    assert!(matches!(result, Err(CopyError::Idle(_))));
    let lasted = begin.elapsed().as_secs();
    assert!((55..=56).contains(&lasted), "{lasted}");
}

#[tokio::test]
async fn a_failure_names_its_side() {
    let (client, server, copy) = between(1024, Duration::ZERO);
    drop(server);
    let mut client = client;
    // The server's end is seen as an orderly close; writing on is what fails.
    client.write_all(b"to nobody").await.unwrap();
    let (_, result) = copy.await.unwrap();
    assert!(matches!(result, Err(CopyError::Server(_))), "{result:?}");
}
