//! Bodies, however their bytes are cut.

use bytes::Bytes;
use http::HeaderMap;

use crate::h1::{
    Error,
    body::{Framing, Piece},
    chunked::Chunked,
    input::{Input, may_be_whole},
};

/// Data, trailers, what is left.
type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// Reads a body whose bytes come in pieces of `size`; gives its data, its trailers, and what is
/// left after it.
fn read(mut framing: Framing, bytes: &[u8], size: usize) -> Result<Read, Error> {
    let mut pieces = bytes.chunks(size);
    let mut input = Input::default();
    let (mut data, mut trailers) = (Vec::new(), None);
    loop {
        match framing.next(&mut input)? {
            Piece::Data(piece) => data.extend_from_slice(&piece),
            Piece::Trailers(map) => trailers = Some(map),
            Piece::Ended => break,
            Piece::Starved => match pieces.next() {
                Some(piece) => {
                    let joined = [&input.held, piece].concat();
                    input.held = Bytes::from(joined);
                }
                None => input.ended = true,
            },
        }
    }
    let rest = [input.held.to_vec(), pieces.collect::<Vec<_>>().concat()].concat();
    Ok((data, trailers, rest))
}

fn chunked() -> Framing {
    Framing::Chunked(Chunked::default())
}

#[test]
fn chunks_come_whole_however_they_are_cut() {
    let bytes =
        b"5\r\nhello\r\n1;a=b\r\n \r\nA \t\r\nwide world\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET /next";
    for size in 1..bytes.len() {
        let (data, trailers, rest) = read(chunked(), bytes, size).unwrap();
        assert_eq!(data, b"hello wide world", "cut at {size}");
        let trailers = trailers.unwrap();
        assert_eq!(
            (&trailers["x-sum"], &trailers["y"]),
            (&"1".parse().unwrap(), &"2".parse().unwrap())
        );
        assert_eq!(rest, b"GET /next", "cut at {size}");
    }
    let (data, trailers, rest) = read(chunked(), b"0\r\n\r\nrest", 3).unwrap();
    assert!(data.is_empty() && trailers.is_none() && rest == b"rest");
}

#[test]
fn a_body_of_known_length_leaves_the_next_request() {
    for size in 1..12 {
        let (data, _, rest) = read(Framing::Length(5), b"helloGET /", size).unwrap();
        assert_eq!(
            (&data[..], &rest[..]),
            (&b"hello"[..], &b"GET /"[..]),
            "cut at {size}"
        );
    }
    let short = read(Framing::Length(5), b"hell", 2);
    assert!(matches!(short, Err(Error::Truncated)), "{short:?}");
    let (data, ..) = read(Framing::UntilClose, b"everything", 3).unwrap();
    assert_eq!(data, b"everything");
}

#[test]
fn what_is_no_chunk_is_refused_however_it_is_cut() {
    for bytes in [
        "zz\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "1\n",
        "1\rx",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rb",
        "0\n\n",
        "0\r\r",
        "1\0\r\n",
        "1;\0\r\n",
        "1;a\n",
        "1;\x7f\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "10000000000000000\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX : a\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nX: a\0\r\n\r\n",
        "0\r\nX: a\r\n folded\r\n\r\n",
    ] {
        for size in 1..=bytes.len() {
            let read = read(chunked(), bytes.as_bytes(), size);
            assert!(
                matches!(read, Err(Error::Malformed(_))),
                "{bytes:?} cut at {size}: {read:?}"
            );
        }
    }
    for bytes in [
        "",
        "5",
        "5\r\n",
        "5\r\nhel",
        "5\r\nhello",
        "0\r\n",
        "0\r\nX: y\r\n",
    ] {
        let read = read(chunked(), bytes.as_bytes(), 1);
        assert!(matches!(read, Err(Error::Truncated)), "{bytes:?}: {read:?}");
    }
}

#[test]
fn extensions_and_trailers_have_a_bound() {
    let extension = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(20);
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(5000));
    let fields = format!("0\r\n{}\r\n", "X: y\r\n".repeat(100));
    for bytes in [extension, trailers, fields] {
        let read = read(chunked(), bytes.as_bytes(), 4096);
        assert!(matches!(read, Err(Error::Malformed(_))), "{read:?}");
    }
}

#[test]
fn the_end_of_a_head_is_seen_wherever_it_is_cut() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
    ] {
        for before in 0..head.len() {
            assert!(may_be_whole(head.as_bytes(), before), "seen {before}");
            let part = &head.as_bytes()[..before];
            assert!(!may_be_whole(part, 0), "{before}");
        }
    }
}
