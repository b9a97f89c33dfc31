use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

/// Answers one connection, and stalls once for `stall` before the response number `at`.
fn serve(listener: &TcpListener, at: u32, stall: Duration) {
    let Ok((mut stream, _)) = listener.accept() else {
        return;
    };
    let mut buffer = [0; 4096];
    for number in 0.. {
        if stream.read(&mut buffer).unwrap_or(0) == 0 {
            return;
        }
        if number == at {
            thread::sleep(stall);
        }
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if stream.write_all(response).is_err() {
            return;
        }
    }
}

#[test]
fn a_stall_is_seen_by_every_request_that_it_delays() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || serve(&listener, 20, Duration::from_millis(300)));
    let pace = Pace {
        rate: 100,
        connections: 1,
        time: Duration::from_secs(1),
    };
    let seen = send(address, "test", pace);
    server.join().expect("the server has ended");
    assert_eq!(seen.failed, 0);
    assert_eq!(
        seen.responses, 100,
        "whatever comes back, all of them are sent"
    );
    // One request waited for 300 ms, and thirty behind it for what was left of them: of a hundred
    // every tenth waited longer than 150 ms. Without the correction p99 alone would tell.
    assert!(seen.p999 >= 290_000.0, "{seen:?}");
    assert!(seen.p99 >= 250_000.0, "{seen:?}");
}
