//! Encodes deliveries and answers as WebSocket frames.

use crate::{
    hub::{Delivery, Encoder},
    session::Outgoing,
};
use app::wire::{Body, Format, Frame, Id};
use bytes::{BufMut, Bytes, BytesMut};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

struct WebSocketEncoder(Format);

/// The encoder for a format.
pub(super) fn encoder(format: Format) -> &'static dyn Encoder {
    match format {
        Format::Frames => &WebSocketEncoder(Format::Frames),
        Format::Bodies => &WebSocketEncoder(Format::Bodies),
    }
}

impl Encoder for WebSocketEncoder {
    fn name(&self) -> &'static str {
        match self.0 {
            Format::Frames => "websocket frames",
            Format::Bodies => "websocket bodies",
        }
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        deliveries.iter().for_each(|delivery| encode(out, &Outgoing::from(delivery.clone()), self.0));
    }

    fn heartbeat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        encode(&mut out, &Outgoing::Frame(Frame::Cursor { cursor }), self.0);
        frame(&mut out, OpCode::Control(Control::Ping), &[]);
        out.freeze()
    }
}

/// Appends a delivery or an answer as one WebSocket frame. Some frames have no form in [`Format::Bodies`].
pub(super) fn encode(out: &mut BytesMut, outgoing: &Outgoing, format: Format) {
    match (outgoing, format) {
        (Outgoing::Message(stored), Format::Frames) => text(out, stored.frame()),
        (Outgoing::Message(stored), Format::Bodies) => match &stored.message.body {
            Body::Text(body) | Body::Json(body) => text(out, body.as_bytes()),
            Body::Binary(bytes) => frame(out, OpCode::Data(Data::Binary), bytes),
        },
        (Outgoing::Frame(frame), Format::Frames) => text(out, frame.to_json().as_bytes()),
        // A client of bodies takes every frame for a message: it gets errors and gaps, but no heartbeats.
        (Outgoing::Frame(frame @ (Frame::Error { .. } | Frame::Missed(_))), Format::Bodies) => {
            text(out, frame.to_json().as_bytes());
        }
        (Outgoing::Frame(_), Format::Bodies) => {}
    }
}

fn text(out: &mut BytesMut, payload: &[u8]) {
    frame(out, OpCode::Data(Data::Text), payload);
}

/// Appends one whole frame. A server does not mask (RFC 6455, section 5.1).
pub(super) fn frame(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let length = payload.len() as u64;
    out.reserve(header.len(length) + payload.len());
    let mut writer = out.writer();
    header.format(length, &mut writer).expect("memory takes what is written to it");
    out.put_slice(payload);
}
