use std::{io::Write, net::TcpListener, os::fd::AsRawFd};

use super::*;

const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn silence_counts_from_when_bytes_were_seen_to_wait_and_ends_with_any_sign() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let heard = Duration::from_secs;
    // An hour of peace is no silence: nothing waits.
    assert_eq!(silence(None, false, heard(3_600), start), None);
    // Bytes wait now. That nothing was heard before is nothing against the peer.
    let since = silence(None, true, heard(3_600), start);
    assert_eq!(since, Some(start));
    // Not heard since: it counts on.
    let since = silence(since, true, heard(3_604), at(4));
    assert_eq!(since, Some(start));
    // Heard a second ago, and bytes wait again.
    let since = silence(since, true, heard(1), at(6));
    assert_eq!(since, Some(at(6)));
    assert_eq!(silence(since, false, heard(0), at(8)), None);
}

/// What `TCP_USER_TIMEOUT` would take for a vanished peer.
#[test]
fn a_peer_that_does_not_read_is_not_taken_for_a_vanished_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_peer, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(more) = socket.write(&[0; 65_536]) {
        written += more;
    }
    assert!(written > 0);
    let watched = Watched {
        socket: socket.as_raw_fd(),
        limit: LIMIT,
        waiting_since: Cell::new(None),
        vanished: Cell::new(false),
    };
    let begin = Instant::now();
    for second in 0..4 {
        std::thread::sleep(Duration::from_millis(250));
        // As if so much more time had passed; the kernel's answers are of the real one.
        watched.look(begin + Duration::from_secs(second * 2));
    }
    assert!(!watched.vanished.get());
}
