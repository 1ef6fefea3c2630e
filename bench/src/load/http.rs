//! Parses HTTP/1.1 in the receive buffer: heads, complete responses and chunked streams.

use anyhow::{Context, Result};
use std::ops::Range;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After this many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunked,
    /// With the end of the connection.
    Close,
}

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// Where the body begins.
    pub(crate) end: usize,
    /// How the body ends.
    pub(crate) ending: Ending,
}

/// Parses the head at the beginning of `bytes`. Returns `None` if the head is not complete yet.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(at) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = &bytes[..at];
    let status = text.get(9..12).and_then(|status| std::str::from_utf8(status).ok()).and_then(|text| text.parse().ok());
    let status: u16 = status.context("an answer has no status")?;
    let ending = if let Some(length) = header(text, "content-length") {
        let length = std::str::from_utf8(length)?.parse::<usize>();
        Ending::Length(length.context("the length of an answer is not a number")?)
    } else if header(text, "transfer-encoding").is_some() {
        Ending::Chunked
    } else if status < 200 || status == 204 || status == 304 {
        Ending::Length(0)
    } else {
        Ending::Close
    };
    Ok(Some(Head { status, end: at + 4, ending }))
}

/// The value of the header with this name.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        rest = &rest[at + 1..];
        let Some((start, value)) = rest.split_at_checked(name.len()) else { continue };
        if let Some((b':', value)) = value.split_first()
            && start.eq_ignore_ascii_case(name.as_bytes())
        {
            let end = memchr::memchr(b'\r', value).unwrap_or(value.len());
            return Some(value[..end].trim_ascii());
        }
    }
    None
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The length of the head in bytes.
    pub(crate) head: usize,
    /// The range of the body after chunk framing was removed.
    pub(crate) body: Range<usize>,
    /// Where the response ends.
    pub(crate) end: usize,
}

/// Parses the response at the beginning of `bytes` and removes chunk framing in place. Returns `None` if the response
/// is not complete yet.
pub(crate) fn answer(bytes: &mut [u8]) -> Result<Option<Answer>> {
    let Some(head) = head(bytes)? else { return Ok(None) };
    let (body, end) = match head.ending {
        Ending::Length(length) => (head.end..head.end + length, head.end + length),
        Ending::Chunked => {
            let Some(length) = chunked_length(&bytes[head.end..])? else { return Ok(None) };
            let decoded = Chunks::default().decode(&mut bytes[head.end..head.end + length]);
            (head.end..head.end + decoded, head.end + length)
        }
        Ending::Close => anyhow::bail!("an answer has no length"),
    };
    Ok((end <= bytes.len()).then_some(Answer { status: head.status, head: head.end, body, end }))
}

/// The length of a chunked body including the final empty chunk, or `None` if the body is not complete yet.
fn chunked_length(bytes: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    while let Some(line) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let digits = bytes[at..at + line].trim_ascii();
        let digits = digits.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = usize::from_str_radix(std::str::from_utf8(digits)?, 16).context("a chunk has no length")?;
        at += line + 1 + size + 2;
        if size == 0 {
            return Ok((at <= bytes.len()).then_some(at));
        }
    }
    Ok(None)
}

/// The state of the decoder of a chunked stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Chunks {
    /// Before a chunk length.
    #[default]
    Start,
    /// In the digits of a chunk length.
    Length(usize),
    /// In the rest of the line after the chunk length.
    Line(usize),
    /// In a chunk of which this many bytes are missing.
    Data(usize),
}

impl Chunks {
    /// Removes the chunk framing in place and returns the number of remaining bytes.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            if let Self::Data(left) = *self {
                let take = left.min(bytes.len() - from);
                bytes.copy_within(from..from + take, to);
                (from, to) = (from + take, to + take);
                *self = if take == left { Self::Start } else { Self::Data(left - take) };
                continue;
            }
            let byte = bytes[from];
            from += 1;
            *self = self.after(byte);
        }
        to
    }

    /// The state after a byte of a length line. The line break after a chunk is skipped like blanks before a length.
    fn after(self, byte: u8) -> Self {
        let digit = char::from(byte).to_digit(16).map(|digit| digit as usize);
        match (self, digit) {
            (Self::Start, None) => Self::Start,
            (Self::Start, Some(digit)) => Self::Length(digit),
            (Self::Length(length), Some(digit)) => Self::Length(length.saturating_mul(16).saturating_add(digit)),
            (Self::Length(0) | Self::Line(0), _) if byte == b'\n' => Self::Start,
            (Self::Length(length) | Self::Line(length), _) if byte == b'\n' => Self::Data(length),
            (Self::Length(length) | Self::Line(length), _) => Self::Line(length),
            (Self::Data(left), _) => Self::Data(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_split_anywhere() {
        let plain = b"HTTP/1.1 200 OK\r\nX-Cursor: 42\r\ncontent-length: 5\r\n\r\nhello";
        for cut in 0..plain.len() {
            assert_eq!(answer(&mut plain[..cut].to_vec()).unwrap(), None);
        }
        let mut two = [plain.as_slice(), plain].concat();
        let found = answer(&mut two).unwrap().unwrap();
        assert_eq!((found.status, found.end), (200, plain.len()));
        assert_eq!(&two[found.body], b"hello");
        assert_eq!(header(&two[..found.head], "x-cursor"), Some(b"42".as_slice()));
        assert_eq!(header(&two[..found.head], "etag"), None);
    }

    #[test]
    fn answers_in_chunks() {
        let chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n";
        for cut in 0..chunked.len() {
            assert_eq!(answer(&mut chunked[..cut].to_vec()).unwrap(), None);
        }
        let mut bytes = chunked.to_vec();
        let found = answer(&mut bytes).unwrap().unwrap();
        assert_eq!((found.status, found.end), (201, chunked.len()));
        assert_eq!(&bytes[found.body], b"hello");
    }

    #[test]
    fn streams_in_chunks_split_anywhere() {
        let stream = b"5\r\ndata:\r\n10\r\n 0123456789abcde\r\n1\r\n\n\r\n";
        for cut in 0..stream.len() {
            let (mut one, mut two) = (stream[..cut].to_vec(), stream[cut..].to_vec());
            let mut chunks = Chunks::default();
            let first = chunks.decode(&mut one);
            let second = chunks.decode(&mut two);
            assert_eq!([&one[..first], &two[..second]].concat(), b"data: 0123456789abcde\n", "cut at {cut}");
        }
    }

    #[test]
    fn how_bodies_end() {
        let ending = |bytes: &[u8]| head(bytes).unwrap().unwrap().ending;
        assert_eq!(ending(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Ending::Length(0));
        assert_eq!(ending(b"HTTP/1.1 200 OK\r\n\r\n"), Ending::Close);
        assert!(head(b"nonsense\r\n\r\n").is_err());
    }
}
