use super::{
    super::{
        App, HttpError,
        negotiate::Asked,
        params::LAST_EVENT_ID,
        peer::Peer,
        publish::{self, PublishHeaders},
    },
    Fields,
    head::{KEPT_BYTES, Repeat, RequestLine},
};
use crate::{engine::Draft, limits::POLL_ATTENDANCE, transport::poll::Poll};
use app::wire::{ChannelName, Reading, Sender, Start};
use axum::http::{Method, Uri, header};
use std::{cell::RefCell, collections::VecDeque, net::IpAddr, ops::Range, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Who asks, as the fields say. Most clients send the same ones with each request of a connection: what they mean is
/// found out once.
#[repr(C)]
pub(super) struct Caller {
    /// First: a poll that comes again seldom needs more.
    pub(super) last: Option<Last>,
    pub(super) fields: Fields,
    /// Its headers are those of the first request with these fields: the length of the body is another one's.
    pub(super) asked: Asked,
    /// No page asks, and this server is meant: so it was found once.
    pub(super) is_program: bool,
    /// What they say of a message.
    publish: Option<Result<PublishHeaders, HttpError>>,
    /// Who speaks under a name, or without one.
    speaker: Option<(Option<String>, Sender)>,
}

/// The last request.
pub(super) struct Last {
    pub(super) what: Arc<What>,
    /// The poll, if it was put off: the next one likely goes on where its answer ended.
    pub(super) poll: Option<Box<Poll>>,
    /// Until when whoever polls need not be said to be there.
    attended: Option<Instant>,
}

/// What was asked for. Connections of the same program ask for the same, and have it in common: with a thousand of them
/// that is memory they need not fetch.
pub(super) struct What {
    pub(super) method: Method,
    path: String,
    pub(super) channel: ChannelName,
    /// Its head, and what it asks for: a poll comes again with another cursor, a publish with another length of its body.
    again: Option<(Repeat, Reading)>,
}

thread_local! {
    /// What was asked for last, by anybody, for those who ask for the same.
    static RECENT: RefCell<VecDeque<Arc<What>>> = const { RefCell::new(VecDeque::new()) };
}

/// How many of them a thread keeps, each with a head of at most [`KEPT_BYTES`]: a few programs are most of the traffic.
const RECENTLY: usize = 8;

impl What {
    /// The same, as another connection has it.
    fn shared(self) -> Arc<Self> {
        let Some((head, _)) = &self.again else { return Arc::new(self) };
        // What else there is of it lies in its head, but for the cursor, which is read each time.
        let is_same = |other: &Arc<Self>| other.again.as_ref().is_some_and(|(other, _)| other == head);
        let known = RECENT.with_borrow_mut(|recent| {
            let at = recent.iter().position(is_same)?;
            recent.remove(at)
        });
        let this = known.unwrap_or_else(|| Arc::new(self));
        RECENT.with_borrow_mut(|recent| {
            recent.truncate(RECENTLY - 1);
            recent.push_front(Arc::clone(&this));
        });
        this
    }
}

impl Caller {
    pub(super) fn new(mut fields: Fields, app: &App, address: IpAddr) -> Self {
        let headers = std::mem::take(&mut fields.headers);
        let peer = Peer::of(address, &headers, &app.trusted);
        let is_program = !headers.contains_key(header::ORIGIN);
        let asked = Asked::of(app, peer, Uri::default(), headers);
        Self { fields, asked, is_program, last: None, publish: None, speaker: None }
    }

    /// The last request, as it is called in the log.
    pub(super) fn logged(&self) -> Option<(&Method, &str, Peer)> {
        let What { method, path, .. } = &*self.last.as_ref()?.what;
        Some((method, path, self.asked.peer))
    }

    /// The channel, if the last request was for the same path.
    pub(super) fn channel_at(&self, path: &str) -> Option<ChannelName> {
        self.last.as_ref().map(|last| &last.what).filter(|what| what.path == path).map(|what| what.channel.clone())
    }

    /// If the last request came again: what it asks for now, and where its body lies.
    pub(super) fn again(&self, received: &[u8]) -> Option<(Reading, Range<usize>)> {
        let What { method, again, .. } = &*self.last.as_ref()?.what;
        let (head, reading) = again.as_ref()?;
        let (other, begin) = head.find(received, may_differ)?;
        let mut reading = reading.clone();
        let mut length = 0;
        if *method == Method::POST {
            length = other.parse().ok()?;
        } else {
            reading.start = Some(Start::After(other.parse().ok()?));
        }
        let end = begin.checked_add(length).filter(|end| *end <= received.len())?;
        Some((reading, begin..end))
    }

    /// If the last poll came again, from any cursor, it is asked to wait: until when, and where the next request begins.
    pub(super) fn poll_again(&mut self, app: &App, received: &[u8]) -> Option<(Instant, usize)> {
        let Last { what, poll, attended } = self.last.as_mut()?;
        let (poll, (head, reading)) = (poll.as_mut()?, what.again.as_ref()?);
        let (cursor, end) = head.find(received, may_differ)?;
        if !poll.ask_again(cursor.parse().ok()?) {
            return None;
        }
        let wait = reading.wait;
        let now = Instant::now();
        if attended.is_none_or(|until| until <= now) {
            *attended = Some(now + POLL_ATTENDANCE);
            self.attend(app, wait + POLL_ATTENDANCE);
        }
        Some((now + wait, end))
    }

    /// If the last publish came again, and nothing else: the message, unless something is wrong with it.
    pub(super) fn publish_again(&mut self, app: &App, received: &[u8]) -> Option<Box<Draft>> {
        let what = &self.last.as_ref().filter(|last| last.what.method == Method::POST)?.what;
        let (head, reading) = what.again.as_ref()?;
        let (length, begin) = head.find(received, may_differ)?;
        let body = received.get(begin..).filter(|body| length.parse() == Ok(body.len()))?.to_vec();
        let (channel, name) = (what.channel.clone(), reading.from.clone());
        self.draft(app, channel, name, body).ok()
    }

    /// Whoever polls is there.
    fn attend(&mut self, app: &App, wait: Duration) {
        let Some(What { channel, again: Some((_, reading)), .. }) = self.last.as_ref().map(|last| &*last.what) else {
            return;
        };
        let (channel, from) = (channel.clone(), reading.from.clone());
        app.hub.polled(&[channel], self.sender(app, from), wait);
    }

    /// The last request is a poll that is put off.
    pub(super) fn waits(&mut self, poll: Poll) {
        if let Some(last) = &mut self.last {
            last.poll = Some(Box::new(poll));
        }
    }

    /// A request with these fields asks for this; `head` is all of its head.
    pub(super) fn asks(&mut self, line: RequestLine, head: &[u8], channel: ChannelName, reading: Reading) {
        let RequestLine { method, uri, end } = line;
        let differs = if method == Method::POST {
            self.fields.count(head.len() - end).map(|count| end + count.start..end + count.end)
        } else {
            cursor(&uri, &reading).filter(|_| !self.asked.headers.contains_key(LAST_EVENT_ID))
        };
        let again = differs.filter(|_| self.is_program && head.len() <= KEPT_BYTES).map(|differs| {
            // Of no use on one channel, and as many as one likes.
            let reading = Reading { channels: Vec::new(), ..reading };
            (Repeat::new(head, differs), reading)
        });
        let path = uri.path().to_owned();
        let what = What { method, path, channel, again }.shared();
        self.last = Some(Last { what, poll: None, attended: None });
    }

    /// The message with this body, as the fields and the name in the query say.
    pub(super) fn draft(
        &mut self,
        app: &App,
        channel: ChannelName,
        name: Option<String>,
        body: Vec<u8>,
    ) -> Result<Box<Draft>, HttpError> {
        let fields = &self.asked.headers;
        let mut headers = self.publish.get_or_insert_with(|| PublishHeaders::read(fields)).clone()?;
        let from = self.sender(app, headers.name.take().or(name)).clone();
        publish::draft(app, channel, from, headers, body)
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

/// Whether a cursor, or the length of a body, can be made of this.
fn may_differ(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.'
}

/// Where the head of a poll has its cursor, if nothing of its query has to be decoded.
fn cursor(uri: &Uri, reading: &Reading) -> Option<Range<usize>> {
    let query = uri.query().filter(|query| !query.contains(['%', '+']))?;
    let mut begin = "GET ".len() + uri.path().len() + "?".len();
    for pair in query.split('&') {
        if let Some(value) = pair.strip_prefix("after=") {
            let is_it = value.parse().is_ok_and(|id| reading.start == Some(Start::After(id)));
            let end = begin + pair.len();
            return is_it.then(|| end - value.len()..end);
        }
        begin += pair.len() + "&".len();
    }
    None
}
