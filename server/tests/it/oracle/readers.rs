use super::{CHANNELS, journal::Journal, proxy::random};
use futures::StreamExt;
use serde_json::Value;
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// The last message of each channel.
pub(super) const END: &str = "end";
/// Without a byte for so long a connection is given up: the network may have gone silent.
const SILENCE: Duration = Duration::from_millis(2500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    WebSocket,
    Sse,
    LongPoll,
    Poll,
}

/// How somebody listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// `None`: another one each time, and not only when it is cut.
    transport: Option<Transport>,
    /// All channels on `/live`, or the first on `/c`.
    live: bool,
}

impl Plan {
    /// Two of each, and eight that change.
    pub(super) fn all() -> Vec<Self> {
        let steady = [Transport::WebSocket, Transport::Sse, Transport::LongPoll, Transport::Poll].map(Some);
        let all = steady.into_iter().chain([None; 4]);
        all.flat_map(|transport| [true, true, false].map(|live| Self { transport, live })).collect()
    }

    pub(super) fn is_live(self) -> bool {
        self.live
    }

    pub(super) fn name(self) -> &'static str {
        match self.transport {
            Some(Transport::WebSocket) => "WebSocket",
            Some(Transport::Sse) => "EventSource",
            Some(Transport::LongPoll) => "long poll",
            Some(Transport::Poll) => "poll",
            None => "changing at random",
        }
    }
}

/// A client for one request on one connection.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).read_timeout(SILENCE).build().unwrap()
}

/// A channel's name as it stands in a URL.
pub(super) fn encoded(name: &str) -> String {
    name.parse::<app::wire::ChannelName>().unwrap().path().trim_start_matches("/c/").to_owned()
}

pub(super) struct Reader {
    address: SocketAddr,
    plan: Plan,
    client: reqwest::Client,
    journal: Journal,
    cursor: Option<String>,
    ended: HashSet<String>,
    cuts: usize,
}

impl Reader {
    pub(super) fn new(address: SocketAddr, plan: Plan) -> Self {
        Self {
            address,
            plan,
            client: client(),
            journal: Journal::default(),
            cursor: None,
            ended: HashSet::new(),
            cuts: 0,
        }
    }

    /// Listens until it has the last message of each of its channels; the journal, and how often it was cut.
    pub(super) async fn run(mut self, stop: Arc<AtomicBool>) -> (Journal, usize) {
        while !self.is_done() {
            let any = [Transport::WebSocket, Transport::Sse, Transport::LongPoll, Transport::Poll];
            let transport = self.plan.transport.unwrap_or_else(|| any[usize::try_from(random(4)).unwrap()]);
            let fine = match transport {
                Transport::WebSocket => self.websocket().await.is_some(),
                Transport::Sse => self.events().await.is_some(),
                Transport::LongPoll => self.poll(2).await.is_some(),
                Transport::Poll => self.poll(0).await.is_some(),
            };
            if !fine {
                self.cuts += 1;
                sleep(Duration::from_millis(random(30))).await;
            } else if transport == Transport::Poll && !stop.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(random(100))).await;
            }
        }
        (self.journal, self.cuts)
    }

    fn is_done(&self) -> bool {
        self.ended.len() == if self.plan.live { CHANNELS.len() } else { 1 }
    }

    /// Whether it stops by itself now, to go on in another way.
    fn moves_on(&self) -> bool {
        self.is_done() || (self.plan.transport.is_none() && random(40) == 0)
    }

    fn path(&self, more: &str) -> String {
        let after = self.cursor.as_deref().unwrap_or("earliest");
        if self.plan.live {
            format!("/live?channels={}&after={after}{more}", CHANNELS.map(encoded).join(","))
        } else {
            format!("/c/{}?after={after}{more}", encoded(CHANNELS[0]))
        }
    }

    /// Takes one frame.
    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "message" => {
                self.journal.take(frame);
                self.cursor = frame["id"].as_str().map(str::to_owned);
                if frame["body"] == END {
                    self.ended.insert(frame["channel"].as_str().unwrap().to_owned());
                }
            }
            "cursor" => self.cursor = frame["cursor"].as_str().map(str::to_owned),
            "missed" => self.journal.missed(frame),
            _ => {}
        }
    }

    /// `None` when it was cut.
    async fn websocket(&mut self) -> Option<()> {
        let url = format!("ws://{}{}", self.address, self.path(""));
        let stream = TcpStream::connect(self.address).await.ok()?;
        let (mut socket, _) = timeout(SILENCE, client_async(url, stream)).await.ok()?.ok()?;
        loop {
            let message = timeout(SILENCE, socket.next()).await.ok()??.ok()?;
            if let Message::Text(text) = message {
                self.take(&serde_json::from_str(&text).unwrap());
            }
            if self.moves_on() {
                return Some(());
            }
        }
    }

    async fn events(&mut self) -> Option<()> {
        let mut request = self.client.get(format!("http://{}{}", self.address, self.path("")));
        request = request.header("accept", "text/event-stream");
        // As an EventSource does: its own header beats what the address still says.
        if let Some(cursor) = &self.cursor {
            request = request.header("last-event-id", cursor);
        }
        let mut response = request.send().await.ok()?;
        let mut buffer = Vec::new();
        loop {
            buffer.extend_from_slice(&response.chunk().await.ok()??);
            // An event that did not arrive whole is none.
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                    self.take(&serde_json::from_str(data).unwrap());
                }
            }
            if self.moves_on() {
                return Some(());
            }
        }
    }

    async fn poll(&mut self, wait: u64) -> Option<()> {
        let url = format!("http://{}{}", self.address, self.path(&format!("&wait={wait}")));
        let response = self.client.get(url).send().await.ok()?;
        let answer: Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
        answer["missed"].as_array()?.iter().for_each(|missed| self.journal.missed(missed));
        answer["messages"].as_array()?.iter().for_each(|message| self.take(message));
        self.cursor = answer["cursor"].as_str().map(str::to_owned);
        Some(())
    }
}
