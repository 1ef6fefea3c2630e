//! Assembles WebSocket frames into messages (RFC 6455, sections 5 and 7). Keeps no buffer while no frame is half-read.

use app::wire::CloseCode;
use std::io::Cursor;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode as Code, Control, Data, OpCode},
};

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping, which is answered with the same bytes.
    Ping(Vec<u8>),
    /// A pong, which shows that the client is still connected.
    Pong,
    /// The client closes the connection, with or without a code.
    Close(Option<u16>),
}

/// How a client violates the protocol. The connection is closed with the matching code (section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A malformed or forbidden frame (close code 1002).
    #[error("a frame breaks the protocol")]
    Protocol,
    /// A text that is not UTF-8 (close code 1007).
    #[error("a text is not UTF-8")]
    NotText,
    /// A message over the limit (close code 1009).
    #[error("a message is larger than this server ever reads")]
    TooBig,
}

impl Violation {
    /// The close code for this violation.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => Code::Protocol.into(),
            Self::NotText => Code::Invalid.into(),
            Self::TooBig => CloseCode::TooBig as u16,
        }
    }
}

/// Assembles received bytes into messages and control frames.
#[derive(Debug)]
pub struct Assembler {
    /// Received bytes: `taken` consumed bytes, then the bytes of frames that are not consumed yet.
    received: Vec<u8>,
    /// The number of consumed bytes at the start of `received`.
    taken: usize,
    /// The received part of a fragmented message.
    partial: Option<Partial>,
    /// The largest message in bytes. A larger one is refused at its header, so that it is never collected in memory.
    limit: usize,
}

#[derive(Debug)]
struct Partial {
    is_text: bool,
    bytes: Vec<u8>,
    /// The number of bytes of a text that are known to be valid UTF-8.
    checked: usize,
}

impl Assembler {
    /// Accepts messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { received: Vec::new(), taken: 0, partial: None, limit }
    }

    /// Adds received bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next message or control frame, if one is complete.
    ///
    /// # Errors
    /// Returns an error if the client violates the protocol.
    pub fn take(&mut self) -> Result<Option<Incoming>, Violation> {
        while let Some((header, payload)) = self.frame()? {
            let incoming = match header.opcode {
                OpCode::Control(control) => Some(controlled(control, payload)?),
                OpCode::Data(data) => self.data(data, header.is_final, payload)?,
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
        if self.taken == self.received.len() {
            // No frame is half-read: release the buffer, so that an idle connection keeps no memory for it.
            (self.received, self.taken) = (Vec::new(), 0);
        } else if self.taken > 0 {
            self.received.drain(..self.taken);
            self.taken = 0;
        }
        Ok(None)
    }

    /// The next whole frame, unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, Violation> {
        let mut cursor = Cursor::new(&self.received[self.taken..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol)?;
        let Some((header, length)) = parsed else { return Ok(None) };
        let head = usize::try_from(cursor.position()).map_err(|_| Violation::TooBig)?;
        let length = self.check(&header, length)?;
        let begin = self.taken + head;
        let Some(payload) = self.received.get(begin..begin + length) else { return Ok(None) };
        let mask = header.mask.ok_or(Violation::Protocol)?;
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.taken = begin + length;
        Ok(Some((header, payload)))
    }

    /// Checks a header before its payload arrives. Returns the payload's length.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<usize, Violation> {
        // No extension was negotiated, and a client must mask (sections 5.2 and 5.1).
        if header.rsv1 || header.rsv2 || header.rsv3 || header.mask.is_none() {
            return Err(Violation::Protocol);
        }
        let length = usize::try_from(length).map_err(|_| Violation::TooBig)?;
        let before = match header.opcode {
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => return Err(Violation::Protocol),
            OpCode::Control(_) if length > 125 || !header.is_final => return Err(Violation::Protocol),
            OpCode::Data(Data::Continue) => self.partial.as_ref().ok_or(Violation::Protocol)?.bytes.len(),
            OpCode::Data(_) if self.partial.is_some() => return Err(Violation::Protocol),
            OpCode::Control(_) | OpCode::Data(_) => 0,
        };
        if before.saturating_add(length) > self.limit.max(125) { Err(Violation::TooBig) } else { Ok(length) }
    }

    fn data(&mut self, data: Data, is_final: bool, payload: Vec<u8>) -> Result<Option<Incoming>, Violation> {
        let mut partial = match self.partial.take() {
            Some(mut partial) => {
                partial.bytes.extend_from_slice(&payload);
                partial
            }
            None => Partial { is_text: data == Data::Text, bytes: payload, checked: 0 },
        };
        if !is_final {
            partial.check()?;
            self.partial = Some(partial);
            return Ok(None);
        }
        if !partial.is_text {
            return Ok(Some(Incoming::Binary(partial.bytes)));
        }
        String::from_utf8(partial.bytes).map(|text| Some(Incoming::Text(text))).map_err(|_| Violation::NotText)
    }
}

impl Partial {
    /// Refuses a fragmented text as soon as it cannot become valid UTF-8.
    fn check(&mut self) -> Result<(), Violation> {
        if !self.is_text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::NotText),
        }
        Ok(())
    }
}

fn controlled(control: Control, payload: Vec<u8>) -> Result<Incoming, Violation> {
    match control {
        Control::Ping => Ok(Incoming::Ping(payload)),
        Control::Pong => Ok(Incoming::Pong),
        Control::Close => closing(&payload).map(Incoming::Close),
        Control::Reserved(_) => Err(Violation::Protocol),
    }
}

/// Parses the payload of a close frame: it is empty, or an allowed code and a UTF-8 reason (section 5.5.1).
fn closing(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !Code::from(code).is_allowed() {
                return Err(Violation::Protocol);
            }
            std::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| Violation::NotText)
        }
        [_] => Err(Violation::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap();
        let mut frame = match u8::try_from(length) {
            Ok(short @ ..=125) => vec![first, 0x80 | short],
            _ => [&[first, 0x80 | 126][..], &length.to_be_bytes()].concat(),
        };
        frame.extend([1, 2, 3, 4]);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    fn read(assembler: &mut Assembler) -> Result<Vec<Incoming>, Violation> {
        std::iter::from_fn(|| assembler.take().transpose()).collect()
    }

    #[test]
    fn what_breaks_the_protocol_has_its_code() {
        let cases = [
            (vec![0x81, 1, b'a'], Violation::Protocol),
            (masked(0xC1, b"a"), Violation::Protocol),
            (masked(0x80, b"a"), Violation::Protocol),
            (masked(0x09, b"a"), Violation::Protocol),
            (masked(0x83, b"a"), Violation::Protocol),
            (masked(0x88, &[3]), Violation::Protocol),
            (masked(0x88, &[0x03, 0xED]), Violation::Protocol),
            (masked(0x81, &[0xFF]), Violation::NotText),
            (masked(0x01, &[0xC3, 0x28]), Violation::NotText),
            (vec![0x82, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0], Violation::TooBig),
            ([masked(0x01, b"a"), masked(0x81, b"b")].concat(), Violation::Protocol),
        ];
        for (bytes, violation) in cases {
            let mut assembler = Assembler::new(1000);
            assembler.feed(&bytes);
            assert_eq!(read(&mut assembler), Err(violation), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_may_be_cut_anywhere(text in "\\PC{0,60}", cuts in prop::collection::vec(0usize..300, 0..6)) {
            let bytes = text.as_bytes();
            let middle = bytes.len() / 2;
            let all = [
                masked(0x01, &bytes[..middle]), masked(0x89, b"p"), masked(0x80, &bytes[middle..]),
                masked(0x82, bytes), masked(0x88, &[0x03, 0xE8]),
            ].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (all.len() + 1)).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let mut assembler = Assembler::new(1000);
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                assembler.feed(&all[pair[0]..pair[1]]);
                found.extend(read(&mut assembler).unwrap());
            }
            prop_assert_eq!(found, vec![
                Incoming::Ping(b"p".to_vec()), Incoming::Text(text.clone()), Incoming::Binary(bytes.to_vec()),
                Incoming::Close(Some(1000)),
            ]);
            prop_assert_eq!(assembler.received.capacity(), 0);
        }
    }
}
