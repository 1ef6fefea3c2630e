//! `baro publish`: publishes a text, or the lines of standard input, to a channel.

use super::{channel_url, pause, refusal};
use crate::config::Publish;
use anyhow::bail;
use tokio::io::{AsyncBufReadExt, BufReader};

/// The number of tries of one message. Their pauses take between 33 and 65 seconds in total.
const TRIES: u32 = 10;

/// Publishes the text from the command line, or each line of standard input in order as soon as it arrives.
///
/// # Errors
/// Returns an error if the server refuses a message, or if all tries of a message fail.
pub async fn publish(options: Publish) -> anyhow::Result<()> {
    let mut url = channel_url(&options.server.url, &options.channel)?;
    url.query_pairs_mut().append_pair("from", &options.from);
    let client = reqwest::Client::new();
    if let Some(text) = options.text {
        return send(&client, &url, text).await;
    }
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if !line.is_empty() {
            send(&client, &url, line.to_owned()).await?;
        }
    }
    Ok(())
}

/// Publishes one message. All tries use the same idempotency key, so that a retry never stores the message twice.
pub(super) async fn send(client: &reqwest::Client, url: &reqwest::Url, body: String) -> anyhow::Result<()> {
    let key = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    for tries in 0..TRIES {
        let sent = client.post(url.clone()).header("idempotency-key", &key).body(body.clone()).send().await;
        match sent {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) if response.status().is_client_error() => return Err(refusal(response).await),
            Ok(response) => tracing::warn!(status = %response.status(), "not published yet, trying again"),
            Err(error) if error.is_builder() => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "not published yet, trying again"),
        }
        pause(tries).await;
    }
    bail!("{} does not answer; the message was not published", url.origin().ascii_serialization())
}
