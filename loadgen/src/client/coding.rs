//! Content codings. Invariant: what a response unpacks to is handed on in pieces of a bounded length, and what a coding may ask
//! for in memory is bounded, whatever the response says.

use std::io::{self, Read, Write as _};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

use super::{ErrorClass, Failure, reply::MAX_KEPT_BYTES};

/// The most that is unpacked to before it is handed on.
const PIECE: usize = 16 * 1024;
/// So many bytes of gzip and deflate are unpacked at a time; what they unpack to is at most a thousand times as long.
const UNPACKED_AT_ONCE: usize = 1024;
/// The largest window of zstd, as a power of two: what RFC 9659 allows in HTTP.
const ZSTD_WINDOW: u32 = 23;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Takes what a response unpacks to.
type Take<'t> = &'t mut dyn FnMut(&[u8]) -> Result<(), Failure>;

impl Coding {
    /// The coding that the headers name; what is not known is taken as it is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let name = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// All of a body that is packed in this way.
    pub(crate) fn unpack(self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Plain => return Ok(body.to_vec()),
            Self::Gzip => return read_all(flate2::read::MultiGzDecoder::new(body)),
            Self::Deflate => return read_all(flate2::read::ZlibDecoder::new(body)),
            Self::Brotli | Self::Zstd => {}
        }
        let mut out = Vec::new();
        let mut unpacker = Unpacker::of(self)?;
        unpacker.push(body, &mut |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        match unpacker.is_over() {
            true => Ok(out),
            false => Err(broken(&io::Error::from(io::ErrorKind::UnexpectedEof))),
        }
    }
}

fn read_all(reader: impl Read) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    reader.take(MAX_KEPT_BYTES as u64 + 1).read_to_end(&mut out).map_err(|e| broken(&e))?;
    if out.len() > MAX_KEPT_BYTES {
        return Err(too_large());
    }
    Ok(out)
}

fn broken(e: &io::Error) -> Failure {
    Failure::new(ErrorClass::Protocol, format!("the compressed body: {e}"))
}

fn too_large() -> Failure {
    Failure::new(ErrorClass::TooLarge, format!("the body unpacks to more than {MAX_KEPT_BYTES} bytes"))
}

/// Unpacks a body while it comes.
pub(super) struct Unpacker {
    decoder: Decoder,
    /// Where Brotli and zstd unpack to.
    piece: Vec<u8>,
}

enum Decoder {
    Plain,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    Brotli(Box<Brotli>),
    Zstd { decoder: ZstdDecoder<'static>, is_over: bool },
}

struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_over: bool,
}

impl Unpacker {
    pub(super) fn of(coding: Coding) -> Result<Self, Failure> {
        let alloc = StandardAlloc::default;
        let decoder = match coding {
            Coding::Plain => Decoder::Plain,
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            Coding::Deflate => Decoder::Deflate(ZlibDecoder::new(Vec::new())),
            // Strict: without the windows of a gigabyte that no browser takes either.
            Coding::Brotli => Decoder::Brotli(Box::new(Brotli {
                state: BrotliState::new_strict(alloc(), alloc(), alloc()),
                is_over: false,
            })),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|e| broken(&e))?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(|e| broken(&e))?;
                Decoder::Zstd { decoder, is_over: false }
            }
        };
        let piece = match coding {
            Coding::Brotli | Coding::Zstd => vec![0; PIECE],
            Coding::Plain | Coding::Gzip | Coding::Deflate => Vec::new(),
        };
        Ok(Self { decoder, piece })
    }

    /// Takes the next bytes, and hands on what they unpack to, which may not be more than a body may have.
    pub(super) fn push(&mut self, bytes: &[u8], take: Take<'_>) -> Result<(), Failure> {
        let mut left = MAX_KEPT_BYTES;
        let take: Take<'_> = &mut |piece: &[u8]| {
            left = left.checked_sub(piece.len()).ok_or_else(too_large)?;
            take(piece)
        };
        match &mut self.decoder {
            Decoder::Plain => take(bytes),
            Decoder::Gzip(decoder) => bytes.chunks(UNPACKED_AT_ONCE).try_for_each(|packed| {
                decoder.write_all(packed).and_then(|()| decoder.flush()).map_err(|e| broken(&e))?;
                take(&std::mem::take(decoder.get_mut()))
            }),
            Decoder::Deflate(decoder) => bytes.chunks(UNPACKED_AT_ONCE).try_for_each(|packed| {
                decoder.write_all(packed).and_then(|()| decoder.flush()).map_err(|e| broken(&e))?;
                take(&std::mem::take(decoder.get_mut()))
            }),
            Decoder::Brotli(brotli) => brotli.push(bytes, &mut self.piece, take),
            Decoder::Zstd { decoder, is_over } => zstd(decoder, is_over, bytes, &mut self.piece, take),
        }
    }

    /// Whether Brotli or zstd have come to their end; the others cannot tell.
    fn is_over(&self) -> bool {
        match &self.decoder {
            Decoder::Plain | Decoder::Gzip(_) | Decoder::Deflate(_) => true,
            Decoder::Brotli(brotli) => brotli.is_over,
            Decoder::Zstd { is_over, .. } => *is_over,
        }
    }
}

impl Brotli {
    fn push(&mut self, bytes: &[u8], piece: &mut [u8], take: Take<'_>) -> Result<(), Failure> {
        let (mut left, mut at) = (bytes.len(), 0);
        while !self.is_over {
            let (mut room, mut written, mut total) = (piece.len(), 0, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut room,
                &mut written,
                piece,
                &mut total,
                &mut self.state,
            );
            take(&piece[..written])?;
            match result {
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => self.is_over = true,
                BrotliResult::ResultFailure => return Err(broken(&io::Error::other("not valid Brotli"))),
            }
        }
        match left {
            0 => Ok(()),
            _ => Err(broken(&io::Error::other("there is more after its end"))),
        }
    }
}

fn zstd(
    decoder: &mut ZstdDecoder<'static>,
    is_over: &mut bool,
    bytes: &[u8],
    piece: &mut [u8],
    take: Take<'_>,
) -> Result<(), Failure> {
    let mut input = InBuffer::around(bytes);
    loop {
        let mut output = OutBuffer::around(&mut *piece);
        let before = input.pos();
        let hint = decoder.run(&mut input, &mut output).map_err(|e| broken(&e))?;
        let written = output.as_slice().len();
        take(output.as_slice())?;
        // Frames may follow each other; between two it is over.
        if written > 0 || input.pos() > before {
            *is_over = hint == 0;
        }
        // What fills the piece may not be all.
        if input.pos() == bytes.len() && written < PIECE {
            return Ok(());
        }
    }
}
