//! A reader of one channel. It keeps its position and checks with `prev` that no message is missing.

use crate::websocket::WebSocket;
use anyhow::{Context, Result, bail, ensure};
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Upgrades in progress at the same time. Must stay below the server's queue of connections not accepted yet.
pub(crate) const HALF_OPEN: usize = 512;

/// The body of the message with this number, padded to 128 bytes.
pub(crate) fn body(number: u64) -> String {
    format!("{number:0128}")
}

/// The name and the position of a reader, with which it reconnects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bookmark {
    name: String,
    cursor: String,
    last: String,
}

impl Bookmark {
    /// Bookmarks for `readers` new readers. With `named`, each reader has its own name; otherwise the readers have no
    /// name.
    pub(crate) fn fresh(readers: u32, named: bool) -> Vec<Self> {
        let name = |number: u32| if named { format!("reader-{number}") } else { String::new() };
        (0..readers).map(|number| Self { name: name(number), ..Self::default() }).collect()
    }
}

/// A connected reader.
pub(crate) struct Reader {
    socket: WebSocket,
    at: Bookmark,
}

impl Reader {
    /// Connects and continues after the bookmark. With a fresh bookmark the reader receives only new messages.
    pub(crate) async fn open(address: SocketAddr, channel: &str, at: Bookmark) -> Result<Self> {
        // The server treats an empty parameter as absent.
        let target = format!("/c/{channel}?after={}&from={}", at.cursor, at.name);
        Ok(Self { socket: WebSocket::open(address, &target).await?, at })
    }

    /// Disconnects without a close frame, like a broken network connection.
    pub(crate) fn leave(self) -> Bookmark {
        self.at
    }

    /// The number in the next message, or `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<u64>> {
        loop {
            let Some(text) = self.socket.text().await? else { return Ok(None) };
            if text.starts_with(r#"{"type":"cursor""#) {
                let cursor = field(text, r#""cursor":""#).context("a cursor frame has no cursor")?;
                cursor.clone_into(&mut self.at.cursor);
                continue;
            }
            if !text.starts_with(r#"{"type":"message""#) {
                bail!("a reader expected messages and got {text}");
            }
            let id = field(text, r#""id":""#).context("a message has no id")?;
            let prev = field(text, r#""prev":""#).unwrap_or_default();
            let last = &mut self.at.last;
            ensure!(last.is_empty() || *last == prev, "after {last} came {id}, whose prev is {prev:?}");
            id.clone_into(last);
            id.clone_into(&mut self.at.cursor);
            let body = field(text, r#""body":""#).context("a message has no text")?;
            return body.parse::<u64>().map(Some).with_context(|| format!("the body {body:?} is no number"));
        }
    }
}

/// The string value after `key`, which includes its quotes and colon. This search replaces a JSON parser to keep the
/// load generator cheap: the strings used here have no escapes, and the first match is the frame's own field.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let start = text.find(key)? + key.len();
    let length = text[start..].find('"')?;
    Some(&text[start..start + length])
}

/// Connects a reader for each bookmark, with at most [`HALF_OPEN`] upgrades at the same time.
pub(crate) async fn open_all(
    address: SocketAddr,
    channel: &'static str,
    bookmarks: Vec<Bookmark>,
) -> Result<Vec<Reader>> {
    let gate = Arc::new(Semaphore::new(HALF_OPEN));
    let mut opening = JoinSet::new();
    let mut readers = Vec::with_capacity(bookmarks.len());
    for bookmark in bookmarks {
        opening.spawn(open_in_turn(Arc::clone(&gate), address, channel, bookmark));
    }
    while let Some(opened) = opening.join_next().await {
        readers.push(opened??);
    }
    Ok(readers)
}

/// Connects once the semaphore `gate` grants a permit.
pub(crate) async fn open_in_turn(
    gate: Arc<Semaphore>,
    address: SocketAddr,
    channel: &str,
    at: Bookmark,
) -> Result<Reader> {
    let _permit = gate.acquire().await?;
    Reader::open(address, channel, at).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_frames() {
        let text =
            r#"{"type":"message","id":"k3.2","prev":null,"channel":"a","from":{"id":"p7","name":"x"},"body":"007"}"#;
        assert_eq!(field(text, r#""id":""#), Some("k3.2"));
        assert_eq!(field(text, r#""prev":""#), None);
        assert_eq!(field(text, r#""body":""#), Some("007"));
        assert_eq!(field(r#"{"type":"cursor","cursor":"k3.9","behind":7}"#, r#""cursor":""#), Some("k3.9"));
    }

    #[test]
    fn bodies_are_numbers_of_128_bytes() {
        let body = body(99_999);
        assert_eq!((body.len(), body.parse::<u64>().unwrap()), (128, 99_999));
    }
}
