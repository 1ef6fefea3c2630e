//! Answers that are written past hyper: head and body as bytes.

use crate::{
    clock,
    limits::COPIED_BODY_BYTES,
    net::{AnswerHead, Connection, Disconnected},
};
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// The head of an answer (RFC 9112, sections 4 and 5), without the fields that are known only when it is sent: `date`,
/// `content-length`, `retry-after` and `connection`.
#[derive(Clone, Debug)]
pub(super) struct RawHead {
    status: StatusCode,
    /// One line each, with its line end.
    fields: Arc<[u8]>,
    /// The connection closes after the answer.
    pub(super) closes: bool,
}

impl RawHead {
    /// The head of a response, on a connection that stays open.
    pub(super) fn of(response: &Response) -> Self {
        Self::new(response.status(), response.headers())
    }

    fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut fields = Vec::with_capacity(512);
        // axum sets the length of the empty body it sees.
        for (name, value) in headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                fields.put(part);
            }
        }
        Self { status, fields: fields.into(), closes: false }
    }

    /// The same head with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same head; with `closes` the connection closes after the answer.
    pub(super) fn closing(self, closes: bool) -> Self {
        Self { closes, ..self }
    }

    /// Whether it is a copy of the same head. One that was made again like it is not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fields, &other.fields) && (self.status, self.closes) == (other.status, other.closes)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Sends a whole answer.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub(super) async fn send(
        &self,
        connection: &Connection,
        body: &Bytes,
        retry_after: Option<Duration>,
    ) -> Result<(), Disconnected> {
        if !self.write(connection, body, retry_after) {
            connection.flush().await?;
        }
        if self.closes {
            let _ = connection.shutdown();
        }
        Ok(())
    }

    /// Writes what the kernel takes now of an answer, and keeps the rest. Returns whether nothing is left.
    pub(super) fn write(&self, connection: &Connection, body: &Bytes, retry_after: Option<Duration>) -> bool {
        write_parts(connection, &self.with_body(body, retry_after))
    }

    /// Writes an answer that many clients get, one after the other: it is put together once (bench row `poll-cpu`).
    pub(super) fn write_shared(&self, connection: &Connection, body: &Bytes) -> bool {
        thread_local! {
            static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
        }
        SHARED.with_borrow_mut(|shared| {
            drop(shared.take_if(|shared| !shared.is_of(self, body)));
            let answer = || Shared { head: self.clone(), body: body.clone(), parts: self.with_body(body, None) };
            write_parts(connection, &shared.get_or_insert_with(answer).parts)
        })
    }

    /// Writes the head of a stream, which ends with its connection or tells its own end.
    pub(super) fn write_stream(&self, connection: &Connection) {
        let mut out = self.dated(0);
        out.put(&b"\r\n"[..]);
        connection.write(&out.freeze());
    }

    /// The head with a body; the second part is a body that is too large to be copied. `retry_after` is told in seconds.
    fn with_body(&self, body: &Bytes, retry_after: Option<Duration>) -> (Bytes, Bytes) {
        let copied = if body.len() <= COPIED_BODY_BYTES { body.len() } else { 0 };
        let mut out = self.dated(copied);
        let mut field = |name: &[u8], number: u64| {
            out.put(name);
            out.put(itoa::Buffer::new().format(number).as_bytes());
            out.put(&b"\r\n"[..]);
        };
        field(b"content-length: ", body.len() as u64);
        if let Some(after) = retry_after {
            field(b"retry-after: ", seconds(after));
        }
        out.put(if self.closes { &b"connection: close\r\n\r\n"[..] } else { &b"\r\n"[..] });
        out.put(&body[..copied]);
        (out.freeze(), body.slice(copied..))
    }

    fn dated(&self, room: usize) -> BytesMut {
        let mut out = BytesMut::with_capacity(self.fields.len() + room + 160);
        let reason = self.status.canonical_reason().unwrap_or_default();
        for part in ["HTTP/1.1 ", self.status.as_str(), " ", reason, "\r\n"] {
            out.put(part.as_bytes());
        }
        out.put(&self.fields[..]);
        put_date(&mut out);
        out
    }
}

/// The last answer that several clients got, with the date at which the first got it. It holds head and body, so nothing
/// else can lie at their addresses while they are compared by them.
struct Shared {
    head: RawHead,
    body: Bytes,
    parts: (Bytes, Bytes),
}

impl Shared {
    fn is_of(&self, head: &RawHead, body: &Bytes) -> bool {
        (self.body.as_ptr(), self.body.len()) == (body.as_ptr(), body.len()) && self.head.is_same(head)
    }
}

/// Writes both parts in order, the second also behind a first one that was not taken whole. Returns whether nothing is left.
fn write_parts(connection: &Connection, (head, rest): &(Bytes, Bytes)) -> bool {
    let whole = connection.write(head);
    whole & (rest.is_empty() || connection.write(rest))
}

impl From<AnswerHead> for RawHead {
    fn from(AnswerHead { parts, closes }: AnswerHead) -> Self {
        Self::new(parts.status, &parts.headers).closing(closes)
    }
}

/// The value of `Retry-After`: whole seconds, not fewer than asked for.
pub(super) fn seconds(after: Duration) -> u64 {
    u64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Appends the field `date` (RFC 9110, section 6.6.1), which is formatted once a second.
fn put_date(out: &mut BytesMut) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = u64::try_from(clock::now().0 / 1000).unwrap_or_default();
    DATE.with_borrow_mut(|(second, field)| {
        if *second != now || field.is_empty() {
            let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(now));
            (*second, *field) = (now, format!("date: {date}\r\n"));
        }
        out.put(field.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        sync::Semaphore,
    };

    #[test]
    fn a_head_says_what_is_known_only_at_the_end() {
        let response = ([(header::VARY, "Accept"), (header::CONTENT_LENGTH, "0")], ()).into_response();
        let body = Bytes::from_static(b"{}");
        let (whole, rest) = RawHead::of(&response).closing(true).with_body(&body, Some(Duration::from_millis(1200)));
        let text = std::str::from_utf8(&whole).unwrap();
        assert!(rest.is_empty() && text.starts_with("HTTP/1.1 200 OK\r\nvary: Accept\r\ndate: "), "{text}");
        assert!(text.ends_with("content-length: 2\r\nretry-after: 2\r\nconnection: close\r\n\r\n{}"), "{text}");
        let failed = RawHead::of(&response).with_status(StatusCode::INTERNAL_SERVER_ERROR);
        let (whole, rest) = failed.with_body(&Bytes::from(vec![b'x'; COPIED_BODY_BYTES + 1]), None);
        assert!(whole.starts_with(b"HTTP/1.1 500 Internal Server Error\r\nvary: Accept\r\n"));
        assert_eq!(rest.len(), COPIED_BODY_BYTES + 1, "a large body is not copied");
    }

    #[tokio::test]
    async fn an_answer_is_whole_when_the_kernel_takes_none_of_its_head() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let connection = Connection::new(listener.accept().await.unwrap().0, place);
        let before = Bytes::from(vec![b'b'; 32 * 1024 * 1024]);
        assert!(!connection.write(&before), "the kernel has room for less");
        let body = Bytes::from(vec![b'x'; COPIED_BODY_BYTES + 1]);
        let head = RawHead::of(&().into_response()).closing(true);
        let mut all = Vec::new();
        let (sent, read) = tokio::join!(head.send(&connection, &body, None), client.read_to_end(&mut all));
        assert!(sent.is_ok() && read.is_ok());
        assert!(all[before.len()..].starts_with(b"HTTP/1.1 200 OK\r\n") && all.ends_with(&body));
    }
}
