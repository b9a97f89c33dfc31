use super::{Scanner, State};

/// Scans `input` in pieces of every size and gives what came out, which must not depend on how
/// the bytes were cut.
fn scan(input: &str) -> (Vec<u8>, State) {
    let mut whole = None;
    for size in 1..=input.len() {
        let mut scanner = Scanner::default();
        let mut bytes = input.as_bytes().to_vec();
        for piece in bytes.chunks_mut(size) {
            scanner.scan(piece);
        }
        let result = (bytes, scanner.state);
        match &whole {
            None => whole = Some(result),
            Some(first) => assert_eq!(*first, result, "cut at {size}"),
        }
    }
    whole.unwrap()
}

fn is_spoiled(input: &str) -> bool {
    scan(input).0 != input.as_bytes()
}

const BOTH: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn both_lengths_are_refused_in_either_order_and_any_case() {
    assert!(is_spoiled(BOTH));
    assert!(is_spoiled(
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 3\r\n\r\n"
    ));
    assert!(is_spoiled(
        "POST / HTTP/1.1\nTransfer-Encoding:chunked\nContent-Length:3\n\n"
    ));
    assert!(is_spoiled(
        "POST / HTTP/1.1\r\nContent-Length : 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
}

#[test]
fn a_smuggled_second_request_is_looked_at_as_well() {
    assert!(is_spoiled(&format!(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n{BOTH}"
    )));
    assert!(is_spoiled(&format!(
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello{BOTH}"
    )));
    assert!(is_spoiled(&format!(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nt: v\r\n\r\n{BOTH}"
    )));
}

#[test]
fn a_body_that_looks_like_a_head_is_left_alone() {
    let body = format!(
        "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{BOTH}",
        BOTH.len()
    );
    assert!(!is_spoiled(&body));
    assert_eq!(scan(&body).1, State::Head);
    let chunked = format!(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{BOTH}\r\n0\r\n\r\n",
        BOTH.len()
    );
    assert!(!is_spoiled(&chunked));
    assert_eq!(scan(&chunked).1, State::Head);
}

#[test]
fn a_length_that_cannot_be_read_is_refused() {
    assert!(is_spoiled(
        "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n"
    ));
    let padded = format!(
        "POST / HTTP/1.1\r\nContent-Length:{}5\r\n\r\n",
        " ".repeat(80)
    );
    assert!(is_spoiled(&padded));
}

#[test]
fn a_head_that_has_begun_counts_as_pending() {
    let mut scanner = Scanner::default();
    assert!(!scanner.in_head(), "nothing came yet");
    scanner.scan(&mut b"GET / HT".to_vec());
    assert!(scanner.in_head());
    scanner.scan(&mut b"TP/1.1\r\n\r\n".to_vec());
    assert!(!scanner.in_head());
    assert!(scanner.take_head_ended());
}

#[test]
fn a_huge_chunk_size_does_not_overflow() {
    let mut scanner = Scanner::default();
    let mut bytes =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\nx"
            .to_vec();
    scanner.scan(&mut bytes);
    assert!(matches!(scanner.state, State::Chunk(_)));
}
