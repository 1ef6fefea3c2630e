use super::super::{
    App, HttpError,
    negotiate::Asked,
    peer::Peer,
    publish::{Said, said},
};
use app::wire::{ChannelName, Sender};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use bytes::Bytes;
use std::net::IpAddr;

/// Fields of a head that is looked at here; browsers send about fifteen.
const FIELDS: usize = 32;

/// The first line of a request (RFC 9112, section 3).
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// Where the fields begin.
    pub(super) end: usize,
}

impl RequestLine {
    /// Reads it; `None` if it is not for here: another method, another version, a target that is no path.
    pub(super) fn read(received: &Bytes) -> Option<Self> {
        let length = received.iter().position(|byte| *byte == b'\r')?;
        let line = received.get(..length).filter(|_| received.get(length + 1) == Some(&b'\n'))?;
        let (method, rest) = match line {
            [b'G', b'E', b'T', b' ', rest @ ..] => (Method::GET, rest),
            [b'P', b'O', b'S', b'T', b' ', rest @ ..] => (Method::POST, rest),
            _ => return None,
        };
        let target = rest.strip_suffix(b" HTTP/1.1").filter(|target| target.starts_with(b"/"))?;
        Some(Self { method, uri: Uri::from_maybe_shared(received.slice_ref(target)).ok()?, end: length + 2 })
    }
}

/// The fields of a head (RFC 9112, section 5).
pub(super) struct Fields {
    /// As they came, up to the number of bytes of the body, and what is behind it.
    sent: (Bytes, Bytes),
    /// Whether there is such a number.
    counted: bool,
    pub(super) headers: HeaderMap,
}

impl Fields {
    /// Reads them, if it is plain how the body is sent and that the connection is to go on.
    pub(super) fn read(received: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let Ok(httparse::Status::Complete((end, fields))) = httparse::parse_headers(received, &mut fields) else {
            return None;
        };
        // What is kept holds the fields and nothing else.
        let sent = Bytes::copy_from_slice(&received[..end]);
        let mut headers = HeaderMap::with_capacity(fields.len());
        let mut length = None;
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let start = field.value.as_ptr().addr() - received.as_ptr().addr();
            let value = start..start + field.value.len();
            headers.append(name.clone(), HeaderValue::from_maybe_shared(sent.slice(value.clone())).ok()?);
            if name == header::CONTENT_LENGTH && length.replace(value).is_some() {
                return None;
            }
        }
        let counted = length.is_some();
        let length = length.unwrap_or(end..end);
        goes_on(&headers).then(|| Self {
            sent: (sent.slice(..length.start), sent.slice(length.end..)),
            counted,
            headers,
        })
    }

    /// Whether these are the same fields, but for the number of bytes of the body: that number, and where it begins.
    pub(super) fn are_in(&self, received: &[u8]) -> Option<(usize, usize)> {
        let (before, after) = &self.sent;
        let rest = received.strip_prefix(&before[..])?;
        if !self.counted {
            return Some((0, before.len()));
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        rest[digits..].starts_with(after).then_some((length, before.len() + digits + after.len()))
    }
}

/// Whether the body is sent as it is and the connection goes on as it is (RFC 9112, sections 6 and 9).
fn goes_on(headers: &HeaderMap) -> bool {
    let special = [header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT, header::TE, header::TRAILER];
    let kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    !special.iter().any(|name| headers.contains_key(name)) && headers.get_all(header::CONNECTION).iter().all(kept)
}

/// Who asks, as the fields say. Most clients send the same ones with each request of a connection: what they mean is
/// found out once.
pub(super) struct Caller {
    pub(super) fields: Fields,
    pub(super) asked: Asked,
    /// No page asks, and this server is meant: so it was found once.
    pub(super) is_program: bool,
    /// The path of the last request, and its channel.
    last: Option<(String, ChannelName)>,
    /// What they say of a message.
    said: Option<Result<Said, HttpError>>,
    /// Who speaks under a name, or without one.
    speaker: Option<(Option<String>, Sender)>,
}

impl Caller {
    pub(super) fn new(mut fields: Fields, app: &App, address: IpAddr) -> Self {
        let headers = std::mem::take(&mut fields.headers);
        let peer = Peer::of(address, &headers, &app.trusted);
        let is_program = !headers.contains_key(header::ORIGIN);
        let asked = Asked::of(app, peer, Uri::default(), headers);
        Self { fields, asked, is_program, last: None, said: None, speaker: None }
    }

    /// The channel, if the last request was for the same path.
    pub(super) fn channel_at(&self, path: &str) -> Option<ChannelName> {
        self.last.as_ref().filter(|(known, _)| known == path).map(|(_, channel)| channel.clone())
    }

    /// A request was for this.
    pub(super) fn asks_at(&mut self, path: &str, channel: &ChannelName) {
        if self.last.as_ref().is_none_or(|(known, _)| known != path) {
            self.last = Some((path.to_owned(), channel.clone()));
        }
    }

    /// What the fields say of a message.
    pub(super) fn said(&mut self) -> Result<Said, HttpError> {
        let headers = &self.asked.headers;
        self.said.get_or_insert_with(|| said(headers)).clone()
    }

    /// Who speaks under a name, or without one.
    pub(super) fn sender(&mut self, app: &App, name: Option<String>) -> &Sender {
        let known = self.speaker.take().filter(|(known, _)| *known == name);
        let speaker = known.unwrap_or_else(|| {
            let sender = self.asked.sender(app, name.clone());
            (name, sender)
        });
        &self.speaker.insert(speaker).1
    }
}
