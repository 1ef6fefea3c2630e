//! What one writes with axum in an afternoon, as its examples show it: a broadcast channel and a task per reader.

use crate::load::room_for;
use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::{
        IntoResponse,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, stream};
use std::{convert::Infallible, net::Ipv4Addr};
use tokio::{
    net::TcpListener,
    sync::broadcast::{Receiver, Sender, channel, error::RecvError},
};

/// Messages a reader may be behind; further behind it loses some, as broadcast channels do.
const BEHIND: usize = 4096;
/// Connections it can have.
const CONNECTIONS: usize = 19_000;

/// Serves until it is ended.
pub(crate) async fn run() -> Result<()> {
    room_for(CONNECTIONS)?;
    let (sender, _) = channel::<Utf8Bytes>(BEHIND);
    let app = Router::new()
        .route("/ws", get(websocket))
        .route("/sse", get(events))
        .route("/pub", post(publish))
        .with_state(sender);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await.context("the server ended")
}

async fn publish(State(sender): State<Sender<Utf8Bytes>>, body: String) -> &'static str {
    // Nobody may be there.
    let _ = sender.send(body.into());
    "ok"
}

async fn websocket(State(sender): State<Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    let receiver = sender.subscribe();
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

async fn events(State(sender): State<Sender<Utf8Bytes>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(sender.subscribe(), async |mut receiver| {
        let text = next(&mut receiver).await?;
        Some((Ok(Event::default().data(text.as_str())), receiver))
    }))
}

/// The next message; those that were lost are passed over.
async fn next(receiver: &mut Receiver<Utf8Bytes>) -> Option<Utf8Bytes> {
    loop {
        match receiver.recv().await {
            Ok(text) => return Some(text),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
