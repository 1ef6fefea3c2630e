//! The readers of the oracle: some use one transport, others change it at random. All reconnect when they are cut.

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

/// A reader closes a connection after this long without a byte, because the network may have gone silent.
const SILENCE: Duration = Duration::from_millis(2500);
/// Bytes that no event of this test has. A larger event has lost its end.
const EVENT_MOST: usize = 1024 * 1024;

/// The offset of the last message that a reader has of each channel.
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

/// What a reader reads, and over which transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// `None`: a random transport for each connection; such a reader also changes without being cut.
    transport: Option<Transport>,
    /// One channel, on `/c`. `None`: all channels, on `/live`.
    channel: Option<usize>,
}

impl Plan {
    /// Three readers for each transport, two on all channels and one on one channel; and six that change the transport.
    pub(super) fn all() -> Vec<Self> {
        let steady = Transport::ALL.map(Some);
        let all = steady.into_iter().chain([None; 2]).enumerate();
        all.flat_map(|(n, transport)| {
            // Not the same channel for all transports: the name of one channel must be percent-encoded.
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

/// A client that opens a connection for each request, and ignores the proxies that the machine is configured with.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

/// A channel's name, percent-encoded for a URL.
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

    /// Reads until it is stopped, at any point. Returns the journal, and how often the reader was cut.
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
                // Clients choose how often they poll.
                sleep(self.random.millis(1, 100)).await;
            }
        }
    }

    /// Whether the reader leaves after this message to use another transport. It does so rarely: a few hundred messages
    /// come each second, and a reader that reconnects all the time would fall behind forever.
    fn moves_on(&mut self) -> bool {
        self.plan.transport.is_none() && self.random.once_in(250)
    }

    fn url(&self, scheme: &str, after: &str, more: &str) -> String {
        format!("{scheme}://{}{}{more}", self.address, self.plan.path(after))
    }

    fn after(&self) -> &str {
        self.after.as_deref().unwrap_or("earliest")
    }

    /// Takes one frame. Returns whether the reader moves on after it.
    fn take(&mut self, frame: &Value) -> bool {
        match frame["type"].as_str().unwrap() {
            "message" => {
                self.journal.take(frame);
                self.after = frame["id"].as_str().map(str::to_owned);
                self.progress.send_replace(self.journal.last());
                return self.moves_on();
            }
            "cursor" => self.after = frame["cursor"].as_str().map(str::to_owned),
            // No message is trimmed, no request is wrong, and the server does not stop in this test.
            "missed" | "error" | "bye" => self.journal.strange(&frame.to_string()),
            _ => {}
        }
        false
    }

    /// Returns `None` when the connection was cut.
    async fn websocket(&mut self) -> Option<()> {
        let stream = timeout(SILENCE, TcpStream::connect(self.address)).await.ok()?.ok()?;
        let opened = timeout(SILENCE, client_async(self.url("ws", self.after(), ""), stream)).await.ok()?;
        // A 403 comes from the proxy. Any other status that is not 101 is a mistake of the server.
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

    /// Sends a `GET` request, which the server must answer with 200.
    async fn get(&mut self, request: reqwest::RequestBuilder) -> Option<Response> {
        let response = timeout(SILENCE, request.send()).await.ok()?.ok()?;
        if response.status() != 200 {
            self.journal.strange(&format!("a request was answered with {}", response.status()));
            return None;
        }
        Some(response)
    }

    async fn events(&mut self) -> Option<()> {
        // As an EventSource does: the URL stays the same, and the header takes precedence over its cursor.
        let request = self.client.get(self.url("http", "earliest", "")).header("accept", "text/event-stream");
        let request = self.after.iter().fold(request, |request, id| request.header("last-event-id", id));
        let mut response = self.get(request).await?;
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            buffer.extend_from_slice(&timeout(SILENCE, response.chunk()).await.ok()?.ok()??);
            // A part of an event does not count.
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
        // A browser knows only the `id:` field, so it must equal the id in the frame.
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

    /// The packets with which a Socket.IO client joins a namespace and, for all channels, subscribes.
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

    /// Takes a packet of Engine.IO. Returns whether the reader moves on, and the answer to the packet, if it needs one.
    fn packet(&mut self, packet: &str) -> (bool, Option<&'static str>) {
        match packet.as_bytes() {
            b"2" => (false, Some("3")),
            [b'4', b'2', ..] => {
                let event: Value = serde_json::from_str(&packet[packet.find('[').unwrap()..]).unwrap();
                let moves_on = self.take(&event[1]);
                // A client that recovers its connection knows only the offset, so it must equal the id in the frame.
                if let Some(offset) = event[2].as_str()
                    && self.after.as_deref() != offset.split(' ').next()
                {
                    self.journal.strange(packet);
                }
                (moves_on, None)
            }
            // Open, close, noop and connect carry no message.
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

    /// The body of an Engine.IO answer. A refusal is not a fault: the server forgets a session whose poll was cut.
    async fn payload(&self, request: reqwest::RequestBuilder) -> Option<String> {
        let response = timeout(SILENCE, request.send()).await.ok()?.ok()?;
        let answered = response.status() == 200;
        let text = timeout(SILENCE, response.text()).await.ok()?.ok()?;
        answered.then_some(text)
    }
}
