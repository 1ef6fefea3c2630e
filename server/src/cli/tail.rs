//! `baro tail`: prints the messages of a channel as they arrive.

use super::{channel_url, pause, refusal};
use crate::config::TailOptions;
use app::wire::{Body, Frame, Id};
use futures::StreamExt;
use std::io::Write;

/// Prints a channel's messages as they arrive over Server-Sent Events, and reconnects when the stream ends.
///
/// # Errors
/// Returns an error if the server refuses the request, or if standard output is closed.
pub async fn tail(options: TailOptions) -> anyhow::Result<()> {
    let url = channel_url(&options.server.url, &options.channel)?;
    let client = reqwest::Client::new();
    let mut cursor: Option<Id> = None;
    let mut tries = 0;
    loop {
        let mut request = client.get(url.clone()).header("accept", "text/event-stream");
        request = match cursor {
            Some(cursor) => request.header("last-event-id", cursor.to_string()),
            None => request.query(&[("last", options.last)]),
        };
        match request.send().await {
            Ok(response) if response.status().is_success() => {
                tries = 0;
                follow(response, &mut cursor, options.json).await?;
            }
            Ok(response) if response.status().is_client_error() => return Err(refusal(response).await),
            Ok(response) => tracing::warn!(status = %response.status(), "trying again"),
            Err(error) if error.is_builder() => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "trying again"),
        }
        pause(tries).await;
        tries += 1;
    }
}

/// Prints messages until the stream ends. Baro writes the frame of each event on a single `data:` line.
async fn follow(response: reqwest::Response, cursor: &mut Option<Id>, json: bool) -> anyhow::Result<()> {
    let mut stream = response.bytes_stream();
    let mut buffer: Vec<u8> = Vec::new();
    while let Some(Ok(bytes)) = stream.next().await {
        buffer.extend_from_slice(&bytes);
        let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else { continue };
        let rest = buffer.split_off(end + 1);
        let lines = std::mem::replace(&mut buffer, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            if let Some(data) = line.strip_prefix("data: ") {
                print(data, cursor, json)?;
            }
        }
    }
    Ok(())
}

fn print(data: &str, cursor: &mut Option<Id>, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Ok(frame) = Frame::parse(data) else { return Ok(()) };
    let is_content = matches!(frame, Frame::Message(_) | Frame::Missed(_));
    match &frame {
        Frame::Cursor { cursor: at } | Frame::Behind { cursor: at, .. } => *cursor = Some(*at),
        Frame::Message(message) => *cursor = Some(message.id),
        Frame::Missed(_)
        | Frame::Presence(_)
        | Frame::Typing(_)
        | Frame::Ack(_)
        | Frame::Error { .. }
        | Frame::Bye { .. } => {}
    }
    if json && is_content {
        writeln!(out, "{data}")?;
    } else if let Frame::Missed(missed) = &frame {
        tracing::warn!(from = %missed.from, to = %missed.to, "messages in between are no longer kept");
    } else if let Frame::Message(message) = &frame {
        match &message.body {
            Body::Text(text) | Body::Json(text) => writeln!(out, "{text}")?,
            Body::Binary(bytes) => {
                out.write_all(bytes)?;
                writeln!(out)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
