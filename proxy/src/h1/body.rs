//! Where a body ends (RFC 9112 6.3).

use bytes::Bytes;
use http::HeaderMap;

use super::{Error, chunked::Chunked, input::Input};

/// How a body is framed, and how much of it is still to come.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many more bytes.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// Up to the end of the connection.
    UntilClose,
}

/// The next of a body.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    Ended,
    /// More bytes must be read first.
    Starved,
}

impl Framing {
    /// No body.
    pub(super) const NONE: Self = Self::Length(0);

    /// Whether the body has ended.
    pub(super) fn is_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::UntilClose => false,
        }
    }

    /// The bytes that are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            _ => None,
        }
    }

    /// Takes the next piece out of `input`.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Piece, Error> {
        match self {
            Self::Length(0) => Ok(Piece::Ended),
            Self::Length(_) | Self::UntilClose if input.held.is_empty() => {
                if !input.ended {
                    Ok(Piece::Starved)
                } else if matches!(self, Self::UntilClose) {
                    *self = Self::NONE;
                    Ok(Piece::Ended)
                } else {
                    Err(Error::Truncated)
                }
            }
            Self::Length(left) => {
                let data = input.take(*left);
                *left -= data.len() as u64;
                Ok(Piece::Data(data))
            }
            Self::UntilClose => Ok(Piece::Data(std::mem::take(&mut input.held))),
            Self::Chunked(chunked) => match chunked.next(input)? {
                Piece::Starved if input.ended => Err(Error::Truncated),
                piece => Ok(piece),
            },
        }
    }
}
