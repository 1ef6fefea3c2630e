use super::{Farewell, Gone, Pipe};
use crate::{clock, limits::HTTP_BUFFER};
use axum::{
    http::{StatusCode, header},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use std::{
    cell::RefCell,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

/// Bodies up to this size are copied behind their head: cheaper than a write of two pieces.
const COPIED: usize = 8 * 1024;

/// A connection that hyper does not have.
pub struct Line {
    /// The way to the peer.
    pub pipe: Arc<Pipe>,
    /// What came behind the request.
    pub received: BytesMut,
    /// What the answer begins with.
    pub head: Head,
    /// Whoever is to hear of the end.
    pub farewell: Farewell,
}

impl Line {
    /// Whether more may be read while the answer is put off: a client may send its next request before it has this one's
    /// answer, but not without end.
    pub(super) fn has_room(&self) -> bool {
        self.received.len() < HTTP_BUFFER
    }

    /// Keeps what the peer says.
    pub(super) fn hear(&mut self) -> Result<(), Gone> {
        let mut chunk = [0; 1024];
        let read = self.pipe.read(&mut chunk)?;
        self.received.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

/// The head of an answer (RFC 9112, sections 4 and 5), but for what is known only when it is sent.
#[derive(Clone, Debug)]
pub struct Head {
    status: StatusCode,
    /// A line each.
    fields: Arc<[u8]>,
    /// The connection ends with the answer.
    pub(super) closes: bool,
}

impl Head {
    /// Of an answer. Not its length: axum says 0, and what comes is the transport's.
    pub fn of(response: &Response, closes: bool) -> Self {
        let mut fields = Vec::with_capacity(512);
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            fields.put(name.as_str().as_bytes());
            fields.put(&b": "[..]);
            fields.put(value.as_bytes());
            fields.put(&b"\r\n"[..]);
        }
        Self { status: response.status(), fields: fields.into(), closes }
    }

    /// Whether it is a copy of the same; one made again like it is not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fields, &other.fields) && (self.status, self.closes) == (other.status, other.closes)
    }

    /// The same with another status: what was to be said cannot be.
    pub(super) fn failed(&self, status: StatusCode) -> Self {
        Self { status, ..self.clone() }
    }

    /// The same, saying that the connection ends with the answer, if it does.
    pub fn closing(self, closes: bool) -> Self {
        Self { closes, ..self }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Sends an answer whole.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn send(&self, pipe: &Pipe, body: &Bytes, retry_after: Option<Duration>) -> Result<(), Gone> {
        if !self.put(pipe, body, retry_after) {
            pipe.drain().await?;
        }
        if self.closes {
            let _ = pipe.shut_down();
        }
        Ok(())
    }

    /// Writes what fits now of an answer, and keeps the rest; whether nothing is left.
    pub(super) fn put(&self, pipe: &Pipe, body: &Bytes, retry_after: Option<Duration>) -> bool {
        put_both(pipe, &self.with(body, retry_after))
    }

    /// The same for a body that many get, one after the other: it is put together with its head once.
    pub(super) fn put_shared(&self, pipe: &Pipe, body: &Bytes) -> bool {
        thread_local! {
            static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
        }
        SHARED.with_borrow_mut(|shared| {
            drop(shared.take_if(|shared| !shared.is_of(self, body)));
            let both = || Shared { head: self.clone(), body: body.clone(), both: self.with(body, None) };
            put_both(pipe, &shared.get_or_insert_with(both).both)
        })
    }

    /// Of a stream, which ends with its connection or tells its own end.
    fn of_stream(&self) -> Bytes {
        let mut out = self.dated(0);
        out.put(&b"\r\n"[..]);
        out.freeze()
    }

    /// With a body; when the server stops it says when to come back, in seconds. The body comes apart if it is worth
    /// not copying.
    fn with(&self, body: &Bytes, retry_after: Option<Duration>) -> (Bytes, Bytes) {
        let copied = if body.len() <= COPIED { body.len() } else { 0 };
        let mut out = self.dated(copied);
        let mut field = |name: &[u8], number: u128| {
            out.put(name);
            out.put(itoa::Buffer::new().format(number).as_bytes());
            out.put(&b"\r\n"[..]);
        };
        field(b"content-length: ", body.len() as u128);
        if let Some(after) = retry_after {
            field(b"retry-after: ", after.as_millis().div_ceil(1000));
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

/// An answer that many get in one go, with the date at which the first got it.
struct Shared {
    head: Head,
    body: Bytes,
    both: (Bytes, Bytes),
}

impl Shared {
    fn is_of(&self, head: &Head, body: &Bytes) -> bool {
        // The body is kept, so nothing else can lie in its place.
        (self.body.as_ptr(), self.body.len()) == (body.as_ptr(), body.len()) && self.head.is_same(head)
    }
}

fn put_both(pipe: &Pipe, (head, rest): &(Bytes, Bytes)) -> bool {
    let mut whole = pipe.put(head);
    // Also behind a head that was not taken whole: it is kept.
    if !rest.is_empty() {
        whole &= pipe.put(rest);
    }
    whole
}

/// Whole seconds since 1970.
fn second() -> u64 {
    u64::try_from(clock::now().0 / 1000).unwrap_or_default()
}

/// Appends the field that says when (RFC 9110, section 6.6.1). It says the same for a second.
fn put_date(out: &mut BytesMut) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = second();
    DATE.with_borrow_mut(|(second, field)| {
        if *second != now || field.is_empty() {
            let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(now));
            (*second, *field) = (now, format!("date: {date}\r\n"));
        }
        out.put(field.as_bytes());
    });
}

/// Goes on with a connection; gives it back for the next request, or ends it.
pub type Run = Box<dyn FnOnce(Line) -> BoxFuture<'static, Option<Line>> + Send>;

/// Goes with an answer of which HTTP gives only the head: the connection is a transport's from there on, and hyper and its
/// buffers are gone.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Run>>>);

impl Takeover {
    /// The connection is the transport's to its end. It gets a task of its own: the one before has room for hyper.
    pub fn stream<F>(response: &mut Response, run: impl FnOnce(Line) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::add(response, |line| {
            line.pipe.put(&line.head.of_stream());
            tokio::spawn(run(line));
            Box::pin(ready(None))
        });
    }

    /// The transport gives the answer, and then the connection back.
    pub fn answer<F>(response: &mut Response, run: impl FnOnce(Line) -> F + Send + 'static)
    where
        F: Future<Output = Option<Line>> + Send + 'static,
    {
        Self::add(response, |line| Box::pin(run(line)));
    }

    fn add(response: &mut Response, run: impl FnOnce(Line) -> BoxFuture<'static, Option<Line>> + Send + 'static) {
        let run: Run = Box::new(run);
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(run)))));
    }

    /// Takes it out of an answer, if there is one.
    pub fn of(response: &mut Response) -> Option<Run> {
        let Self(run) = response.extensions_mut().remove()?;
        run.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
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
        let (whole, rest) = Head::of(&response, true).with(&body, Some(Duration::from_millis(1200)));
        let text = std::str::from_utf8(&whole).unwrap();
        assert!(rest.is_empty() && text.starts_with("HTTP/1.1 200 OK\r\nvary: Accept\r\ndate: "), "{text}");
        assert!(text.ends_with("content-length: 2\r\nretry-after: 2\r\nconnection: close\r\n\r\n{}"), "{text}");
        let failed = Head::of(&response, false).failed(StatusCode::INTERNAL_SERVER_ERROR);
        let (whole, rest) = failed.with(&Bytes::from(vec![b'x'; COPIED + 1]), None);
        assert!(whole.starts_with(b"HTTP/1.1 500 Internal Server Error\r\nvary: Accept\r\n"));
        assert_eq!(rest.len(), COPIED + 1, "a large body is not copied");
    }

    #[tokio::test]
    async fn an_answer_is_whole_when_the_kernel_takes_none_of_its_head() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let pipe = Pipe::new(listener.accept().await.unwrap().0, place);
        let before = Bytes::from(vec![b'b'; 32 * 1024 * 1024]);
        assert!(!pipe.put(&before), "the kernel has room for less");
        let body = Bytes::from(vec![b'x'; COPIED + 1]);
        let head = Head::of(&().into_response(), true);
        let mut all = Vec::new();
        let (sent, read) = tokio::join!(head.send(&pipe, &body, None), client.read_to_end(&mut all));
        assert!(sent.is_ok() && read.is_ok());
        assert!(all[before.len()..].starts_with(b"HTTP/1.1 200 OK\r\n") && all.ends_with(&body));
    }
}
