//! Fuzzes the WebSocket frame assembler: its output must not depend on where the network splits the bytes, and no
//! message may exceed the limit.

#![no_main]

use fuzz::assembler::{Assembler, Incoming, Violation};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 300;

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else { return };
    let whole = read(bytes, bytes.len());
    assert_eq!(read(bytes, usize::from(*step)), whole, "the output depends on where the bytes are split");
    for incoming in whole.0 {
        match incoming {
            Incoming::Text(text) => assert!(text.len() <= LIMIT),
            Incoming::Binary(bytes) => assert!(bytes.len() <= LIMIT),
            Incoming::Ping(payload) => assert!(payload.len() <= 125),
            Incoming::Pong | Incoming::Close(_) => {}
        }
    }
});

/// Feeds the bytes in pieces of `step` bytes. Returns what was assembled, and the first violation.
fn read(bytes: &[u8], step: usize) -> (Vec<Incoming>, Option<Violation>) {
    let mut assembler = Assembler::new(LIMIT);
    let mut all = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        assembler.feed(piece);
        loop {
            match assembler.take() {
                Ok(Some(incoming)) => all.push(incoming),
                Ok(None) => break,
                Err(violation) => return (all, Some(violation)),
            }
        }
    }
    (all, None)
}
