use super::{
    CHANNELS,
    journal::{Journal, Random},
};
use futures::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, Message},
};

/// Without a byte for so long a connection is given up: the network may have gone silent.
const SILENCE: Duration = Duration::from_millis(2500);
/// An event is never so large here; what grows beyond it never ends.
const EVENT_MOST: usize = 1024 * 1024;

/// The offset of the last message of each channel: how far a reader is.
pub(super) type Reached = [Option<u64>; CHANNELS.len()];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    WebSocket,
    Sse,
    LongPoll,
    Poll,
    SocketIo,
    SocketIoPolls,
}

impl Transport {
    const ALL: [Self; 6] =
        [Self::WebSocket, Self::Sse, Self::LongPoll, Self::Poll, Self::SocketIo, Self::SocketIoPolls];
}

/// How somebody listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// `None`: another one each time, and not only when it is cut.
    transport: Option<Transport>,
    /// One channel on `/c`; `None`: all of them on `/live`.
    channel: Option<usize>,
}

impl Plan {
    /// Each transport on all channels, twice, and on one; and six readers that change.
    pub(super) fn all() -> Vec<Self> {
        let steady = Transport::ALL.map(Some);
        let all = steady.into_iter().chain([None; 2]).enumerate();
        all.flat_map(|(n, transport)| {
            // Not the same channel for all: one has a name that must be encoded.
            let channel = Some(n % CHANNELS.len());
            [None, None, channel].map(|channel| Self { transport, channel })
        })
        .collect()
    }

    pub(super) fn channels(self) -> Vec<usize> {
        self.channel.map_or_else(|| (0..CHANNELS.len()).collect(), |channel| vec![channel])
    }

    pub(super) fn name(self) -> &'static str {
        match self.transport {
            Some(Transport::WebSocket) => "WebSocket",
            Some(Transport::Sse) => "SSE",
            Some(Transport::LongPoll) => "long poll",
            Some(Transport::Poll) => "poll",
            Some(Transport::SocketIo) => "Socket.IO",
            Some(Transport::SocketIoPolls) => "Socket.IO, polling",
            None => "changing at random",
        }
    }

    fn path(self, after: &str) -> String {
        match self.channel {
            Some(channel) => format!("/c/{}?after={after}", encoded(CHANNELS[channel])),
            None => format!("/live?channels={}&after={after}", CHANNELS.map(encoded).join(",")),
        }
    }
}

/// A client for one request on one connection, whatever proxies the machine knows.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

/// A channel's name as it stands in a URL.
pub(super) fn encoded(name: &str) -> String {
    name.parse::<app::wire::ChannelName>().unwrap().path().trim_start_matches("/c/").to_owned()
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

pub(super) struct Reader {
    address: SocketAddr,
    plan: Plan,
    random: Random,
    client: reqwest::Client,
    journal: Journal,
    after: Option<String>,
    cuts: usize,
    progress: watch::Sender<Reached>,
}

impl Reader {
    pub(super) fn new(address: SocketAddr, plan: Plan, random: Random, progress: watch::Sender<Reached>) -> Self {
        let (journal, client) = (Journal::default(), client());
        Self { address, plan, random, client, journal, after: None, cuts: 0, progress }
    }

    /// Listens until it is stopped, in the middle of whatever it does; the journal, and how often it was cut.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) -> (Journal, usize) {
        tokio::select! {
            () = self.listen() => {}
            () = stopped(stop) => {}
        }
        (self.journal, self.cuts)
    }

    async fn listen(&mut self) {
        loop {
            let transport = self.plan.transport.unwrap_or(Transport::ALL[self.random.index(Transport::ALL.len())]);
            let end = match transport {
                Transport::WebSocket => self.websocket().await,
                Transport::Sse => self.events().await,
                Transport::LongPoll => self.poll("&wait=5&limit=500").await,
                Transport::Poll => self.poll("&limit=500").await,
                Transport::SocketIo => self.socket_io().await,
                Transport::SocketIoPolls => self.socket_io_polls().await,
            };
            if end.is_none() {
                self.cuts += 1;
                sleep(self.random.millis(1, 30)).await;
            } else if transport == Transport::Poll {
                // How often somebody polls is up to them.
                sleep(self.random.millis(1, 100)).await;
            }
        }
    }

    /// Whether it stops by itself after this message, to go on in another way. Not so often that coming and going
    /// is all it does: it would fall behind for ever, as some hundred messages come each second.
    fn moves_on(&mut self) -> bool {
        self.plan.transport.is_none() && self.random.once_in(250)
    }

    fn url(&self, scheme: &str, after: &str, more: &str) -> String {
        format!("{scheme}://{}{}{more}", self.address, self.plan.path(after))
    }

    fn after(&self) -> &str {
        self.after.as_deref().unwrap_or("earliest")
    }

    /// Takes one frame; whether the reader moves on after it.
    fn take(&mut self, frame: &Value) -> bool {
        match frame["type"].as_str().unwrap() {
            "message" => {
                self.journal.take(frame);
                self.after = frame["id"].as_str().map(str::to_owned);
                self.progress.send_replace(self.journal.last());
                return self.moves_on();
            }
            "cursor" => self.after = frame["cursor"].as_str().map(str::to_owned),
            // Nothing is gone, nothing is wrong and nobody stops in this test.
            "missed" | "error" | "bye" => self.journal.strange(&frame.to_string()),
            _ => {}
        }
        false
    }

    /// `None` when it was cut.
    async fn websocket(&mut self) -> Option<()> {
        let stream = timeout(SILENCE, TcpStream::connect(self.address)).await.ok()?.ok()?;
        let opened = timeout(SILENCE, client_async(self.url("ws", self.after(), ""), stream)).await.ok()?;
        // The proxy's 403 is a bad network; anything else that is not a 101 is the server's mistake.
        if let Err(Error::Http(response)) = &opened
            && response.status() != 403
        {
            self.journal.strange(&format!("an upgrade was answered with {}", response.status()));
        }
        let (mut socket, _) = opened.ok()?;
        loop {
            let message = timeout(SILENCE, socket.next()).await.ok()??.ok()?;
            if let Message::Text(text) = message
                && self.take(&serde_json::from_str(&text).unwrap())
            {
                return Some(());
            }
        }
    }

    /// A `GET` that has to be answered with 200.
    async fn get(&mut self, request: reqwest::RequestBuilder) -> Option<Response> {
        let response = timeout(SILENCE, request.send()).await.ok()?.ok()?;
        if response.status() != 200 {
            self.journal.strange(&format!("a request was answered with {}", response.status()));
            return None;
        }
        Some(response)
    }

    async fn events(&mut self) -> Option<()> {
        // As an EventSource does: the address stays what it was at first, and the header beats what it says.
        let request = self.client.get(self.url("http", "earliest", "")).header("accept", "text/event-stream");
        let request = self.after.iter().fold(request, |request, id| request.header("last-event-id", id));
        let mut response = self.get(request).await?;
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            buffer.extend_from_slice(&timeout(SILENCE, response.chunk()).await.ok()?.ok()??);
            // An event that did not arrive whole is none.
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                if self.event(std::str::from_utf8(&event).unwrap()) {
                    return Some(());
                }
            }
            assert!(buffer.len() < EVENT_MOST, "an event ends");
        }
    }

    fn event(&mut self, event: &str) -> bool {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let Some(data) = field("data: ") else { return false };
        let moves_on = self.take(&serde_json::from_str(data).unwrap());
        // A browser knows the `id:` only, so it has to be what the frame says.
        if field("id: ").is_some_and(|id| self.after.as_deref() != Some(id)) {
            self.journal.strange(event);
        }
        moves_on
    }

    async fn poll(&mut self, more: &str) -> Option<()> {
        let request = self.client.get(self.url("http", self.after(), more)).timeout(SILENCE);
        let response = self.get(request).await?;
        let answer: Value = serde_json::from_slice(&response.bytes().await.ok()?).unwrap();
        for missed in answer["missed"].as_array().unwrap() {
            self.journal.strange(&missed.to_string());
        }
        for message in answer["messages"].as_array().unwrap() {
            if self.take(message) {
                return Some(());
            }
        }
        self.after = Some(answer["cursor"].as_str().unwrap().to_owned());
        Some(())
    }

    /// What a client of Socket.IO says to come in, and perhaps then.
    fn socket_io_opening(&self) -> Vec<String> {
        let after = self.after();
        match self.plan.channel {
            Some(channel) => vec![format!("40/c/{},{{\"after\":\"{after}\"}}", encoded(CHANNELS[channel]))],
            None => {
                let subscribe = serde_json::json!(["subscribe", CHANNELS, {"after": after}]);
                vec!["40".into(), format!("42{subscribe}")]
            }
        }
    }

    /// Takes a packet of Engine.IO: whether the reader moves on; the answer it wants, if any.
    fn packet(&mut self, packet: &str) -> (bool, Option<&'static str>) {
        match packet.as_bytes() {
            b"2" => (false, Some("3")),
            [b'4', b'2', ..] => {
                let event: Value = serde_json::from_str(&packet[packet.find('[').unwrap()..]).unwrap();
                let moves_on = self.take(&event[1]);
                // A client that recovers by itself knows the offset only, so it has to be what the frame says.
                if let Some(offset) = event[2].as_str()
                    && self.after.as_deref() != offset.split(' ').next()
                {
                    self.journal.strange(packet);
                }
                (moves_on, None)
            }
            // Opened, connected, closed, nothing new.
            [b'0' | b'1' | b'6', ..] | [b'4', b'0', ..] => (false, None),
            _ => {
                self.journal.strange(packet);
                (false, None)
            }
        }
    }

    async fn socket_io(&mut self) -> Option<()> {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", self.address);
        let stream = timeout(SILENCE, TcpStream::connect(self.address)).await.ok()?.ok()?;
        let (mut socket, _) = timeout(SILENCE, client_async(url, stream)).await.ok()?.ok()?;
        for packet in self.socket_io_opening() {
            timeout(SILENCE, socket.send(Message::text(packet))).await.ok()?.ok()?;
        }
        loop {
            let message = timeout(SILENCE, socket.next()).await.ok()??.ok()?;
            let Message::Text(text) = message else { continue };
            match self.packet(&text) {
                (true, _) => return Some(()),
                (false, Some(answer)) => timeout(SILENCE, socket.send(Message::text(answer))).await.ok()?.ok()?,
                (false, None) => {}
            }
        }
    }

    async fn socket_io_polls(&mut self) -> Option<()> {
        let url = format!("http://{}/socket.io/?EIO=4&transport=polling", self.address);
        let opened = self.payload(self.client.get(&url)).await?;
        let opened: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
        let url = format!("{url}&sid={}", opened["sid"].as_str().unwrap());
        self.payload(self.client.post(&url).body(self.socket_io_opening().join("\u{1e}"))).await?;
        loop {
            let payload = self.payload(self.client.get(&url)).await?;
            for packet in payload.split('\u{1e}').filter(|packet| !packet.is_empty()) {
                match self.packet(packet) {
                    (true, _) => return Some(()),
                    (false, Some(answer)) => drop(self.payload(self.client.post(&url).body(answer)).await?),
                    (false, None) => {}
                }
            }
        }
    }

    /// An answer of Engine.IO. A session that ended because its poll was cut is unknown, which is no mistake.
    async fn payload(&self, request: reqwest::RequestBuilder) -> Option<String> {
        let response = timeout(SILENCE, request.send()).await.ok()?.ok()?;
        let answered = response.status() == 200;
        let text = timeout(SILENCE, response.text()).await.ok()?.ok()?;
        answered.then_some(text)
    }
}
