//! The parsers of HTTP/1.1 for the fuzz targets.

use http::HeaderMap;
use httparse::Header;

use super::{chunked::Chunked, head};
use crate::client::{Failure, reply::Intake, stamped::Stamps};

/// Takes nothing in.
struct Nothing;

impl Intake for Nothing {
    fn head(&mut self, _status: u16, _headers: &[Header<'_>]) {}

    fn head_map(&mut self, _status: u16, _headers: HeaderMap) {}

    fn piece(&mut self, _bytes: &[u8], _stamps: &Stamps) -> Result<(), Failure> {
        Ok(())
    }
}

/// Reads a head from all of the bytes, and from the first of them: what is found there is what is found in all.
pub(crate) fn head(whole: &[u8], first: &[u8]) {
    let read = |bytes: &[u8]| head::parse(bytes, false, &mut Nothing);
    if let Ok(Some(found)) = read(first) {
        assert!(found.length <= first.len());
        assert_eq!(read(whole).ok(), Some(Some(found)));
    }
}

/// Decodes a chunked body whole and in pieces.
pub(crate) fn chunked(whole: &[u8], pieces: [&[u8]; 2]) {
    let decode = |pieces: &[&[u8]]| {
        let (mut body, mut decoder, mut used) = (Vec::new(), Chunked::default(), 0);
        for piece in pieces {
            let taken = decoder.push(piece, |bytes| {
                body.extend_from_slice(bytes);
                Ok(())
            });
            match taken {
                Ok(taken) => used += taken,
                Err(_) => return None,
            }
        }
        Some((body, used, decoder.is_done()))
    };
    assert_eq!(decode(&[whole]), decode(&pieces));
}
