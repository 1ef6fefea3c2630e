//! The heads of requests, as far as publishes and polls need them read. Pure: text in, values out, so that it can be
//! fuzzed.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::ops::Range;

/// Fields of a head that is looked at here; browsers send about fifteen.
const FIELDS: usize = 32;

/// Bytes of a head, or of its fields, that are kept as long as the connection.
pub const KEPT_BYTES: usize = 4 * 1024;

/// The first line of a request (RFC 9112, section 3).
pub struct RequestLine {
    /// GET or POST.
    pub method: Method,
    /// A path, with a query or without.
    pub uri: Uri,
    /// Where the fields begin.
    pub end: usize,
}

impl RequestLine {
    /// Reads it; `None` if it is not for here: another method, another version, a target that is no path.
    pub fn read(received: &Bytes) -> Option<Self> {
        let length = received.iter().position(|byte| *byte == b'\r')?;
        let line = received.get(..length).filter(|_| received.get(length + 1) == Some(&b'\n'))?;
        let (method, rest) = match line {
            [b'G', b'E', b'T', b' ', rest @ ..] => (Method::GET, rest),
            [b'P', b'O', b'S', b'T', b' ', rest @ ..] => (Method::POST, rest),
            _ => return None,
        };
        let target = rest.strip_suffix(b" HTTP/1.1").filter(|target| target.starts_with(b"/"))?;
        // A fragment is dropped without a look at it: what no target can have must not hide there.
        if !target.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        Some(Self { method, uri: Uri::from_maybe_shared(received.slice_ref(target)).ok()?, end: length + 2 })
    }
}

/// Text that may come again with something else in one place.
#[derive(PartialEq, Eq)]
pub struct Repeat {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

impl Repeat {
    /// Of this text, and where it may differ.
    pub fn new(text: &[u8], differs: Range<usize>) -> Self {
        Self { before: text[..differs.start].into(), after: text[differs.end..].into() }
    }

    /// If what was received begins with the same: what stands in that one place, as far as it is made of such bytes, and
    /// where the text ends.
    pub fn find<'a>(&self, received: &'a [u8], may_be: impl Fn(u8) -> bool) -> Option<(&'a str, usize)> {
        let rest = received.strip_prefix(&self.before[..])?;
        let length = rest.iter().position(|byte| !may_be(*byte)).unwrap_or(rest.len());
        let other = std::str::from_utf8(&rest[..length]).ok()?;
        rest[length..].starts_with(&self.after).then_some((other, self.before.len() + length + self.after.len()))
    }
}

/// The fields of a head (RFC 9112, section 5).
pub struct Fields {
    /// As they came, but for the number of bytes of the body.
    sent: Repeat,
    /// Whether there is such a number.
    counted: bool,
    /// As hyper would have them.
    pub headers: HeaderMap,
}

impl Fields {
    /// Reads them, if it is plain how the body is sent and that the connection is to go on.
    pub fn read(received: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let Ok(httparse::Status::Complete((end, fields))) = httparse::parse_headers(received, &mut fields) else {
            return None;
        };
        if end > KEPT_BYTES {
            return None;
        }
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
        let sent = Repeat::new(&sent, length.unwrap_or(end..end));
        goes_on(&headers).then_some(Self { sent, counted, headers })
    }

    /// Whether these are the same fields, but for the number of bytes of the body: that number, and where it begins.
    pub fn are_in(&self, received: &[u8]) -> Option<(usize, usize)> {
        let (length, end) = self.sent.find(received, |byte| self.counted && byte.is_ascii_digit())?;
        Some((if self.counted { length.parse().ok()? } else { 0 }, end))
    }

    /// Where the number of bytes of the body is, in fields that end there and are the same.
    pub fn count(&self, end: usize) -> Option<Range<usize>> {
        self.counted.then(|| self.sent.before.len()..end - self.sent.after.len())
    }
}

/// Whether the body is sent as it is and the connection goes on as it is (RFC 9112, sections 6 and 9).
fn goes_on(headers: &HeaderMap) -> bool {
    let special = [header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT, header::TE, header::TRAILER];
    let kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    !special.iter().any(|name| headers.contains_key(name)) && headers.get_all(header::CONNECTION).iter().all(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Option<(Method, String)> {
        RequestLine::read(&Bytes::copy_from_slice(text.as_bytes())).map(|line| (line.method, line.uri.to_string()))
    }

    #[test]
    fn only_plain_lines_are_for_here() {
        assert_eq!(line("GET /c/a?last=1 HTTP/1.1\r\n"), Some((Method::GET, "/c/a?last=1".into())));
        assert_eq!(line("POST /c/a HTTP/1.1\r\nHost: x"), Some((Method::POST, "/c/a".into())));
        for other in [
            "",
            "GET /c/a HTTP/1.1",
            "GET /c/a HTTP/1.1\r",
            "GET /c/a HTTP/1.1\n",
            "GET /c/a HTTP/1.0\r\n",
            "get /c/a HTTP/1.1\r\n",
            "GET  /c/a HTTP/1.1\r\n",
            "GET /c/a  HTTP/1.1\r\n",
            "GET c/a HTTP/1.1\r\n",
            "GET http://x/c/a HTTP/1.1\r\n",
            "GET * HTTP/1.1\r\n",
            "\r\nGET /c/a HTTP/1.1\r\n",
            "PUT /c/a HTTP/1.1\r\n",
            "GET /c/\u{1} HTTP/1.1\r\n",
            "GET /c/a#b HTTP/1.1 HTTP/1.1\r\n",
        ] {
            assert_eq!(line(other), None, "{other:?}");
        }
    }

    /// How long the body is and where it begins, if that is plain.
    fn body(fields: &str) -> Option<(usize, usize)> {
        Fields::read(fields.as_bytes())?.are_in(fields.as_bytes())
    }

    #[test]
    fn a_body_is_as_long_as_is_beyond_doubt() {
        assert_eq!(body("Host: x\r\n\r\n"), Some((0, 11)));
        assert_eq!(body("Content-Length: 12\r\nA: b\r\n\r\nbody"), Some((12, 28)));
        assert_eq!(body("content-length:  007 \r\n\r\n"), Some((7, 25)));
        for doubtful in [
            "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "Content-Length: +1\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 1, 1\r\n\r\n",
            "Content-Length: \r\n\r\n",
            "Content-Length: 99999999999999999999\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n",
            "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "Upgrade: websocket\r\n\r\n",
            "Connection: close\r\n\r\n",
            "Connection: keep-alive, close\r\n\r\n",
            "Host: x\r\n",
            "Host : x\r\n\r\n",
            " folded\r\n\r\n",
        ] {
            assert_eq!(body(doubtful), None, "{doubtful:?}");
        }
    }

    proptest! {
        /// What is recognised without being read is what reading it finds.
        #[test]
        fn fields_sent_again_are_the_same(
            before in "([A-Z][a-z]{1,5}: [ -~]{0,9}\r\n){0,3}", counted in any::<bool>(), one in 0u32..2000, other in 0u32..2000,
            after in "([A-Z][a-z]{1,5}: [ -~]{0,9}\r\n){0,3}", cut in 0usize..200,
        ) {
            let write = |length: u32| {
                let count = if counted { format!("Content-Length: {length}\r\n") } else { String::new() };
                format!("Host: x\r\n{before}{count}{after}\r\n")
            };
            let Some(fields) = Fields::read(write(one).as_bytes()) else { return Ok(()) };
            let again = write(other);
            let expected = (if counted { other as usize } else { 0 }, again.len());
            prop_assert_eq!(fields.are_in(again.as_bytes()), Some(expected));
            prop_assert_eq!(body(&again), Some(expected));
            // Not before it is whole, and not when anything is different.
            if cut < again.len() {
                prop_assert_eq!(fields.are_in(&again.as_bytes()[..cut]), None);
            }
            prop_assert_eq!(fields.are_in(format!("X: y\r\n{again}").as_bytes()), None);
            prop_assert_eq!(fields.are_in(again.replacen("\r\n\r\n", "\r\nX: y\r\n\r\n", 1).as_bytes()), None);
        }
    }
}
