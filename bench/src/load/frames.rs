//! Finds the boundaries of WebSocket frames (RFC 6455) in a buffer, and writes frame heads.

use anyhow::{Result, ensure};

/// The opcode of a text frame.
pub(crate) const TEXT: u8 = 1;
/// The opcode of a close frame.
pub(crate) const CLOSE: u8 = 8;
/// The opcode of a ping, which must be answered with a pong.
pub(crate) const PING: u8 = 9;
/// The opcode of a pong.
pub(crate) const PONG: u8 = 10;

/// A complete frame from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The opcode.
    pub(crate) opcode: u8,
    /// Where the payload begins.
    pub(crate) start: usize,
    /// Where the payload and the frame end.
    pub(crate) end: usize,
}

/// The first frame in `bytes`, or `None` if it is not complete yet.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<Frame>> {
    let [kind, length, rest @ ..] = bytes else { return Ok(None) };
    ensure!(kind & 0x70 == 0, "a frame is compressed, which was not asked for");
    ensure!(length & 0x80 == 0, "a server masked a frame");
    let (start, length) = match length & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, usize::try_from(u64::from_be_bytes(*length))?),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    let end = start + length;
    Ok((end <= bytes.len()).then_some(Frame { opcode: kind & 0x0f, start, end }))
}

/// Writes the head of a frame. With `mask` it includes a masking key of zeros, which leaves the payload unchanged.
pub(crate) fn head(opcode: u8, length: usize, mask: bool, to: &mut Vec<u8>) {
    let bit = if mask { 0x80 } else { 0 };
    to.push(0x80 | opcode);
    if let Ok(short @ 0..126) = u8::try_from(length) {
        to.push(bit | short);
    } else if let Ok(length) = u16::try_from(length) {
        to.push(bit | 126);
        to.extend_from_slice(&length.to_be_bytes());
    } else {
        to.push(bit | 127);
        to.extend_from_slice(&(length as u64).to_be_bytes());
    }
    if mask {
        to.extend_from_slice(&[0; 4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        head(opcode, payload.len(), false, &mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_of_all_lengths_split_anywhere() {
        for length in [0, 1, 125, 126, 128, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = made(TEXT, &payload);
            let start = bytes.len() - length;
            assert_eq!(first(&bytes).unwrap(), Some(Frame { opcode: TEXT, start, end: bytes.len() }));
            for cut in (0..bytes.len()).step_by(1 + length / 50) {
                assert_eq!(first(&bytes[..cut]).unwrap(), None, "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn many_frames_in_a_row() {
        let bytes = [made(TEXT, b"one"), made(PING, b""), made(2, b"three")].concat();
        let mut at = 0;
        let mut seen = Vec::new();
        while let Some(frame) = first(&bytes[at..]).unwrap() {
            seen.push((frame.opcode, bytes[at + frame.start..at + frame.end].to_vec()));
            at += frame.end;
        }
        assert_eq!(seen, [(TEXT, b"one".to_vec()), (PING, Vec::new()), (2, b"three".to_vec())]);
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn what_a_server_must_not_send() {
        assert!(first(&[0xc1, 0]).is_err());
        assert!(first(&[0x81, 0x80]).is_err());
    }
}
