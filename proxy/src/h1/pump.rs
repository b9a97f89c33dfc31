//! A body on its way out: framed piece by piece into the output.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::Body;

use super::{Error, fields, output::Output};

/// How a body is framed that is sent.
#[derive(Debug)]
pub(super) enum Encoder {
    /// None is sent, whatever there is.
    Nothing,
    /// So many more bytes.
    Length(u64),
    /// In chunks; with trailers of these names.
    Chunked(Vec<HeaderName>),
    /// Up to the end of the connection.
    UntilClose,
}

impl Encoder {
    /// In chunks, with the trailers that the head announces (RFC 9110 6.6.2): a recipient may
    /// drop others, or take them for fields that were checked.
    pub(super) fn chunked(headers: &HeaderMap) -> Self {
        let announced = headers.get_all(header::TRAILER).iter();
        let names = announced
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        Self::Chunked(names.collect())
    }

    pub(super) fn chunked_without_trailers() -> Self {
        Self::Chunked(Vec::new())
    }

    /// Whether no further byte belongs to the body.
    fn is_complete(&self) -> bool {
        matches!(self, Self::Nothing | Self::Length(0))
    }

    fn data(&mut self, output: &mut Output, data: Bytes) -> Result<(), Error> {
        match self {
            Self::Nothing => {}
            Self::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Error::Length)?;
                output.push(data, b"");
            }
            Self::UntilClose => output.push(data, b""),
            // An empty chunk would be the last.
            Self::Chunked(_) if data.is_empty() => {}
            Self::Chunked(_) => {
                write_size(output.buffer(), data.len());
                output.push(data, b"\r\n");
            }
        }
        Ok(())
    }

    fn end(&mut self, output: &mut Output, trailers: Option<&HeaderMap>) -> Result<(), Error> {
        match self {
            Self::Length(1..) => Err(Error::Length),
            Self::Chunked(announced) => {
                let out = output.buffer();
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if announced.contains(name) {
                        fields::write(out, name.as_str().as_bytes(), value.as_bytes());
                    }
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn write_size(out: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let digit = u32::try_from((size >> (digit * 4)) & 0xf).unwrap_or(0);
        out.extend(char::from_digit(digit, 16).map(|digit| digit as u8));
    }
    out.extend_from_slice(b"\r\n");
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// The output holds its end.
    Ended,
    /// The output is to be written before more is taken.
    Full,
    /// Nothing more is there now.
    Pending,
}

/// Why a body did not go out whole.
#[derive(Debug)]
pub(super) enum Broken<E> {
    /// It ended in an error.
    Body(E),
    /// It has another length than was said.
    Length,
}

/// A body on its way out.
#[derive(Debug)]
pub(super) struct Pump<B> {
    /// `None`: its end is in the output. Dropped as soon as it is.
    body: Option<B>,
    encoder: Encoder,
}

impl<B: Body<Data = Bytes> + Unpin> Pump<B> {
    pub(super) fn new(body: B, encoder: Encoder) -> Self {
        Self {
            body: Some(body),
            encoder,
        }
    }

    /// Whether its end has been put out.
    pub(super) fn is_ended(&self) -> bool {
        self.body.is_none()
    }

    /// Takes what is there into `output`, as far as it has room.
    pub(super) fn fill(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Result<Filled, Broken<B::Error>> {
        loop {
            let Some(body) = &mut self.body else {
                return Ok(Filled::Ended);
            };
            let mut trailers = None;
            let mut ended = body.is_end_stream();
            if !ended {
                if !output.has_room() {
                    return Ok(Filled::Full);
                }
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => return Ok(Filled::Pending),
                    Poll::Ready(None) => ended = true,
                    Poll::Ready(Some(Err(error))) => return Err(Broken::Body(error)),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => {
                            let put = self.encoder.data(output, data);
                            put.map_err(|_| Broken::Length)?;
                            ended = self.encoder.is_complete() && body.is_end_stream();
                        }
                        Err(frame) => {
                            ended = true;
                            trailers = frame.into_trailers().ok();
                        }
                    },
                }
            }
            if ended {
                let put = self.encoder.end(output, trailers.as_ref());
                put.map_err(|_| Broken::Length)?;
                self.body = None;
            }
        }
    }
}
