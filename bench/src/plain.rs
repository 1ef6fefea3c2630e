//! The reference server `axum`: a plain application in the style of axum's examples, with a tokio broadcast channel and
//! one task per reader. All long polls that wait at the same position share one answer.

use crate::{
    floor::Log,
    load::{listen, room_for},
};
use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::{
        IntoResponse,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, stream};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    net::TcpListener,
    sync::{
        broadcast::{Receiver, Sender, channel, error::RecvError},
        watch,
    },
};

/// Messages a reader may lag behind. A reader that lags further loses messages, as with any tokio broadcast channel.
const BEHIND: usize = 4096;
/// The number of connections this server must be able to hold.
const CONNECTIONS: usize = 19_000;

/// The state shared by the request handlers.
#[derive(Clone)]
struct Shared {
    live: Sender<Utf8Bytes>,
    log: Arc<Mutex<Log>>,
    /// The position after the newest message.
    next: watch::Sender<u64>,
}

/// Serves until the process is stopped.
pub(crate) async fn run() -> Result<()> {
    room_for(CONNECTIONS)?;
    let shared = Shared { live: channel(BEHIND).0, log: Arc::default(), next: watch::Sender::new(0) };
    let app = Router::new()
        .route("/ws", get(websocket))
        .route("/sse", get(events))
        .route("/poll", get(poll))
        .route("/pub", post(publish))
        .with_state(shared);
    let listener = TcpListener::from_std(listen()?)?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await.context("the server ended")
}

async fn publish(State(shared): State<Shared>, body: String) -> &'static str {
    let next = {
        let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(body.as_bytes());
        log.next
    };
    shared.next.send_replace(next);
    // Sending fails if there is no reader, which is not an error here.
    let _ = shared.live.send(body.into());
    "ok"
}

async fn poll(State(shared): State<Shared>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let query = query.unwrap_or_default();
    let after = query.split('&').find_map(|pair| pair.strip_prefix("after=")?.parse::<u64>().ok());
    if let Some(after) = after {
        // Waiting cannot fail: `shared` holds the sender.
        let _ = shared.next.subscribe().wait_for(|next| *next > after).await;
    }
    let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
    let after = after.unwrap_or(log.next);
    let answer = log.answer(after);
    ([("x-cursor", answer.to.to_string())], answer.body())
}

async fn websocket(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    let receiver = shared.live.subscribe();
    upgrade.on_upgrade(move |socket| forward(socket, receiver))
}

async fn forward(mut socket: WebSocket, mut receiver: Receiver<Utf8Bytes>) {
    loop {
        tokio::select! {
            received = next(&mut receiver) => {
                let Some(text) = received else { return };
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            said = socket.recv() => if !matches!(said, Some(Ok(_))) {
                return;
            },
        }
    }
}

async fn events(State(shared): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(shared.live.subscribe(), async |mut receiver| {
        let text = next(&mut receiver).await?;
        Some((Ok(Event::default().data(text.as_str())), receiver))
    }))
}

/// The next message, or `None` if the channel is closed. Skips messages that were lost because the reader lagged.
async fn next(receiver: &mut Receiver<Utf8Bytes>) -> Option<Utf8Bytes> {
    loop {
        match receiver.recv().await {
            Ok(text) => return Some(text),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
