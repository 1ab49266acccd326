//! Frames: a stream that comes in two pieces, or byte by byte, holds the frames that it holds in one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgring_protocol::frame::{self, FrameError};

const MAX: usize = 4096;

/// The frames of pieces that come one after the other, and the fault that ends them.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(u8, Vec<u8>)>, Option<FrameError>) {
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match frame::complete(&buffer, MAX) {
                Ok(Some(head)) => {
                    assert!(head.len >= frame::HEADER && head.len <= buffer.len());
                    found.push((head.kind, frame::body(&buffer, head).to_vec()));
                    buffer.drain(..head.len);
                }
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let whole = frames(std::iter::once(bytes));
    assert_eq!(whole, frames([first, second].into_iter()));
    assert_eq!(whole, frames(bytes.chunks(1)));
});
