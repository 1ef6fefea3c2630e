//! Helpers of the integration tests: a server for each test, and clients that wait for events, not for a fixed time.

use app::wire::Frame;
use clap::Parser;
use futures::{SinkExt, StreamExt};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use server::{Running, config::Cli};
use std::{net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// Stops a broken test from hanging. No event takes this long while the server works.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an event that must happen. Panics if it does not happen within [`PATIENCE`].
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("the event happens in time")
}

pub(crate) struct Baro {
    running: Option<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
}

impl Baro {
    /// Starts a server in a new folder, without the channel `this-machine`, whose messages would disturb the tests.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags).await
    }

    pub(crate) async fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        let data = folder.path().to_str().unwrap().to_owned();
        let fixed = [
            "baro",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
            "--no-machine-channel",
            "--fsync",
            "never",
            "--log",
            "off",
        ];
        let cli = Cli::parse_from(fixed.iter().chain(flags));
        let running = server::run(cli.serve).await.unwrap();
        let address = running.address;
        Self { running: Some(running), address, folder, client: reqwest::Client::new() }
    }

    /// Stops this server and starts another one in the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    pub(crate) async fn restart_with(mut self, flags: &[&str]) -> Self {
        self.running.take().unwrap().stop().await;
        Self::start_in(self.folder, flags).await
    }

    /// How many requests this server answered without hyper.
    pub(crate) fn fast_answers(&self) -> u64 {
        self.running.as_ref().unwrap().fast_answers()
    }

    /// Stops the server.
    pub(crate) async fn stop(mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// The number of senders that are present in a channel. Connects a reader to learn it, which is not counted.
    pub(crate) async fn here(&self, channel: &str) -> u32 {
        let mut socket = self.websocket(&format!("/live?channels={channel}&from=counter")).await;
        loop {
            if let Frame::Presence(presence) = socket.any().await {
                return presence.people + presence.programs - 1;
            }
        }
    }

    /// Waits until at least this many senders are present in a channel.
    pub(crate) async fn until_here(&self, channel: &str, least: u32) {
        for _ in 0..1000 {
            if self.here(channel).await >= least {
                return;
            }
        }
        panic!("fewer than {least} senders are present in {channel}");
    }

    /// Opens a WebSocket whose client reads the status of the answer and nothing more.
    pub(crate) async fn deaf(&self, path: &str) -> TcpStream {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        stream
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url(path)).body(body)
    }

    /// Publishes a message and returns its id.
    pub(crate) async fn say(&self, channel: &str, body: &str) -> String {
        let answer = self.post(&format!("/c/{channel}"), body.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        json(answer).await["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        json(answer).await
    }

    pub(crate) async fn websocket(&self, path: &str) -> Socket {
        Socket(connect_async(format!("ws://{}{path}", self.address)).await.unwrap().0)
    }

    /// Opens a WebSocket as the visitor with this cookie.
    pub(crate) async fn websocket_as(&self, path: &str, cookie: &str) -> Socket {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        Socket(connect_async(request).await.unwrap().0)
    }

    pub(crate) async fn events(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.get(path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, buffer: String::new() }
    }
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Sends a request that must be refused. Returns the status and the error code; every refusal is JSON with a message.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = json(response).await;
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// The bodies of the messages in a JSON answer.
pub(crate) fn bodies(answer: &Value) -> Vec<Value> {
    answer["messages"].as_array().unwrap().iter().map(|message| message["body"].clone()).collect()
}

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Buffers a text message until the next send or flush.
    pub(crate) async fn feed(&mut self, text: &str) {
        self.0.feed(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn flush(&mut self) {
        self.0.flush().await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    pub(crate) async fn close(&mut self) {
        self.0.close(None).await.unwrap();
    }

    /// The next text or binary message, unparsed. Returns `None` if the connection is closed.
    pub(crate) async fn raw(&mut self) -> Option<Message> {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Some(message),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next frame of any type.
    pub(crate) async fn any(&mut self) -> Frame {
        let message = self.raw().await.expect("the connection stays open");
        Frame::parse(message.to_text().unwrap()).unwrap()
    }

    /// Waits for the server's close frame and returns its reason.
    pub(crate) async fn closed(&mut self) -> String {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Close(Some(close)))) => return close.reason.to_string(),
                Some(Ok(_)) => {}
                other => panic!("a close with a reason, not {other:?}"),
            }
        }
    }

    /// The next frame that is not a heartbeat and not about lag, presence or typing.
    pub(crate) async fn frame(&mut self) -> Frame {
        loop {
            match self.any().await {
                Frame::Cursor { .. } | Frame::Behind { .. } | Frame::Presence(_) | Frame::Typing(_) => {}
                frame => return frame,
            }
        }
    }

    /// The body of the next message, as text.
    pub(crate) async fn body(&mut self) -> String {
        match self.frame().await {
            Frame::Message(message) => String::from_utf8(message.body.as_bytes().to_vec()).unwrap(),
            frame => panic!("a message, not {frame:?}"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) event: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
    pub(crate) retry: Option<u64>,
}

pub(crate) struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let event = parse_event(event);
                self.buffer = rest.to_owned();
                return Some(event);
            }
            let chunk = soon(self.response.chunk()).await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event without an `event` field, which is a message.
    pub(crate) async fn message(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("the stream stays open");
            if event.event.is_none() {
                return event;
            }
        }
    }
}

fn parse_event(text: &str) -> Event {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in text.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("event", value) => event.event = Some(value.to_owned()),
            ("id", value) => event.id = Some(value.to_owned()),
            ("data" | "data:", value) => data.push(value),
            ("retry", value) => event.retry = value.parse().ok(),
            (other, _) => panic!("unknown field {other}"),
        }
    }
    event.data = data.join("\n");
    event
}
