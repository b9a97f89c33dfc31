//! Bodies in chunks (RFC 9112 7.1). Strict: line ends are CRLF and nothing else, a size is hex
//! digits and nothing else. What goes on is framed anew, so no two readings of a chunk leave here.

use bytes::Buf;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Error, body::Piece, input::Input};

/// Bytes of all chunk extensions of a body, which nobody uses and everybody must read.
const MAX_EXTENSIONS: u32 = 16 * 1024;
/// Bytes of a body's trailers, and their number.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;
/// Hex digits of a size: what fits 64 bits.
const MAX_DIGITS: u8 = 16;

/// Where in the framing the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    /// After the CR of a size's line.
    SizeEnd,
    Data,
    /// After a chunk's data, and after its CR.
    DataEnd,
    DataEndLf,
    Trailers,
    Ended,
}

/// A body in chunks, on its way in.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Of the current chunk, what is left.
    size: u64,
    digits: u8,
    extensions: u32,
    trailers: Vec<u8>,
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            state: State::Size,
            size: 0,
            digits: 0,
            extensions: 0,
            trailers: Vec::new(),
        }
    }
}

impl Chunked {
    pub(super) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes the next piece out of `input`.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Piece, Error> {
        loop {
            match self.state {
                State::Ended => return Ok(Piece::Ended),
                State::Trailers => return self.trailers(input),
                _ if input.held.is_empty() => return Ok(Piece::Starved),
                State::Data => {
                    let data = input.take(self.size);
                    self.size -= data.len() as u64;
                    if self.size == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                _ => {
                    let mut taken = 0;
                    for byte in &input.held {
                        taken += 1;
                        self.state = self.framing(*byte)?;
                        if matches!(self.state, State::Data | State::Trailers) {
                            break;
                        }
                    }
                    input.held.advance(taken);
                }
            }
        }
    }

    /// The state after one byte of framing.
    fn framing(&mut self, byte: u8) -> Result<State, Error> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeEnd),
            (State::Size, b';' | b' ' | b'\t') if self.digits > 0 => Ok(State::Extension),
            (State::Size, _) => {
                let digit = char::from(byte).to_digit(16);
                let digit = digit.ok_or(Error::Malformed("a chunk's size is no number"))?;
                if self.digits == MAX_DIGITS {
                    return Err(Error::Malformed("a chunk's size is beyond 64 bits"));
                }
                self.digits += 1;
                self.size = self.size << 4 | u64::from(digit);
                Ok(State::Size)
            }
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extensions += 1;
                if self.extensions > MAX_EXTENSIONS {
                    return Err(Error::Malformed("too many chunk extensions"));
                }
                Ok(State::Extension)
            }
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                Ok(if self.size == 0 {
                    State::Trailers
                } else {
                    State::Data
                })
            }
            (State::DataEnd, b'\r') => Ok(State::DataEndLf),
            (State::DataEndLf, b'\n') => Ok(State::Size),
            _ => Err(Error::Malformed("a chunk does not end where it should")),
        }
    }

    fn trailers(&mut self, input: &mut Input) -> Result<Piece, Error> {
        let mut taken = 0;
        for byte in &input.held {
            taken += 1;
            self.trailers.push(*byte);
            if *byte == b'\n' {
                if !self.trailers.ends_with(b"\r\n") {
                    return Err(Error::Malformed("a trailer's line does not end in CRLF"));
                }
                if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                    self.state = State::Ended;
                    break;
                }
            }
            if self.trailers.len() > MAX_TRAILERS {
                return Err(Error::Malformed("the trailers are too large"));
            }
        }
        input.held.advance(taken);
        if !self.is_ended() {
            return Ok(Piece::Starved);
        }
        let bytes = std::mem::take(&mut self.trailers);
        if bytes == b"\r\n" {
            return Ok(Piece::Ended);
        }
        parse(&bytes).map(Piece::Trailers)
    }
}

fn parse(bytes: &[u8]) -> Result<HeaderMap, Error> {
    const BAD: Error = Error::Malformed("a trailer is no field");
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(bytes, &mut fields)
    else {
        return Err(BAD);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| BAD)?;
        trailers.append(name, value);
    }
    Ok(trailers)
}
