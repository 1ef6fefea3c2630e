//! The heads of requests, as far as publishes and polls need them. Pure: bytes in, values out, so that it can be fuzzed
//! against hyper's parser.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::ops::Range;

/// The head of a request that is plainly a `GET` or a `POST` over HTTP/1.1, whose body is sent as it is.
pub struct Head {
    /// GET or POST.
    pub method: Method,
    /// A path, with a query or without.
    pub uri: Uri,
    /// The fields, as hyper would have them.
    pub headers: HeaderMap,
    /// Where the body begins.
    pub end: usize,
    /// The length of the body, and where in the head it stands.
    pub length: Option<(usize, Range<usize>)>,
}

impl Head {
    /// Reads the head of a request; `fields` is how many header fields it may have. `None` if it is not plain: another
    /// method or version, a target that is not a path, or fields that change how the body is sent or the connection
    /// continues. Such a request is hyper's.
    pub fn read(received: &Bytes, fields: usize) -> Option<Self> {
        let (method, uri, line_end) = request_line(received)?;
        let mut found = vec![httparse::EMPTY_HEADER; fields];
        let Ok(httparse::Status::Complete((length, found))) =
            httparse::parse_headers(&received[line_end..], &mut found)
        else {
            return None;
        };
        let mut headers = HeaderMap::with_capacity(found.len());
        let mut body_length = None;
        for field in found {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let start = field.value.as_ptr().addr() - received.as_ptr().addr();
            let range = start..start + field.value.len();
            let value = HeaderValue::from_maybe_shared(received.slice(range.clone())).ok()?;
            if name == header::CONTENT_LENGTH {
                let length = decimal(field.value)?;
                if body_length.replace((length, range)).is_some() {
                    return None;
                }
            }
            headers.append(name, value);
        }
        is_plain(&headers).then_some(Self { method, uri, headers, end: line_end + length, length: body_length })
    }

    /// Where the body lies, if it came whole in `received` bytes.
    pub fn body(&self, received: usize) -> Option<Range<usize>> {
        let length = self.length.as_ref().map_or(0, |(length, _)| *length);
        let end = self.end.checked_add(length).filter(|end| *end <= received)?;
        Some(self.end..end)
    }
}

/// The first line (RFC 9112, section 3), and where the fields begin.
fn request_line(received: &Bytes) -> Option<(Method, Uri, usize)> {
    let length = received.iter().position(|byte| *byte == b'\r')?;
    let line = received.get(..length).filter(|_| received.get(length + 1) == Some(&b'\n'))?;
    let (method, rest) = match line {
        [b'G', b'E', b'T', b' ', rest @ ..] => (Method::GET, rest),
        [b'P', b'O', b'S', b'T', b' ', rest @ ..] => (Method::POST, rest),
        _ => return None,
    };
    let target = rest.strip_suffix(b" HTTP/1.1").filter(|target| target.starts_with(b"/"))?;
    // The parser of targets drops a fragment without a look at it: no byte that a target cannot have may hide there.
    if !target.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    Some((method, Uri::from_maybe_shared(received.slice_ref(target)).ok()?, length + 2))
}

/// A number in digits only: no sign, which Rust's parser would take.
pub fn decimal(digits: &[u8]) -> Option<usize> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Whether the body is sent as it is and the connection continues as it is (RFC 9112, sections 6 and 9).
fn is_plain(headers: &HeaderMap) -> bool {
    let special = [header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT, header::TE, header::TRAILER];
    let kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    !special.iter().any(|name| headers.contains_key(name)) && headers.get_all(header::CONNECTION).iter().all(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Head> {
        Head::read(&Bytes::copy_from_slice(text.as_bytes()), 32)
    }

    #[test]
    fn only_plain_lines_are_read() {
        let line = |text: &str| read(&format!("{text}Host: x\r\n\r\n")).map(|head| (head.method, head.uri.to_string()));
        assert_eq!(line("GET /c/a?last=1 HTTP/1.1\r\n"), Some((Method::GET, "/c/a?last=1".into())));
        assert_eq!(line("POST /c/a HTTP/1.1\r\n"), Some((Method::POST, "/c/a".into())));
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

    #[test]
    fn a_body_is_as_long_as_is_beyond_doubt() {
        let body = |fields: &str| {
            let text = format!("POST / HTTP/1.1\r\n{fields}");
            let head = read(&text)?;
            Some((head.length.map(|(length, _)| length), head.end - "POST / HTTP/1.1\r\n".len()))
        };
        assert_eq!(body("Host: x\r\n\r\n"), Some((None, 11)));
        assert_eq!(body("Content-Length: 12\r\nA: b\r\n\r\nbody"), Some((Some(12), 28)));
        assert_eq!(body("content-length:  007 \r\n\r\n"), Some((Some(7), 25)));
        for doubtful in [
            "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "Content-Length: +1\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: \r\n\r\n",
            "Content-Length: 1, 1\r\n\r\n",
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

    #[test]
    fn a_body_is_there_when_all_of_it_came() {
        let head = read("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n").unwrap();
        assert_eq!(head.body(head.end + 3), None);
        assert_eq!(head.body(head.end + 5), Some(head.end..head.end + 4));
    }
}
