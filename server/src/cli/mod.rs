//! The commands for a terminal: `publish`, `tail` and `demo` use the channels of a server, and `backup` and `restore`
//! copy the store of a data folder.

mod copy;
mod demo;
mod publish;
mod tail;

pub use copy::{backup, restore};
pub use demo::demo;
pub use publish::publish;
pub use tail::tail;

use anyhow::Context;
use app::wire::{ChannelName, ErrorBody};
use std::time::Duration;

/// The URL of a channel on a server.
fn channel_url(server: &str, channel: &str) -> anyhow::Result<reqwest::Url> {
    let channel: ChannelName = channel.parse()?;
    let url = format!("{}{}", server.trim_end_matches('/'), channel.path());
    url.parse().with_context(|| format!("{server:?} is not the address of a server, such as http://127.0.0.1:3000"))
}

/// Waits before the next try. The longest wait doubles from 0.5 to 10 seconds. The actual wait is a random time between
/// half of it and all of it, so that many clients do not retry at the same moment.
async fn pause(tries: u32) {
    let most = 500u64.saturating_mul(1 << tries.min(5)).min(10_000);
    let spread = getrandom::u64().unwrap_or(0) % (most / 2);
    tokio::time::sleep(Duration::from_millis(most / 2 + spread)).await;
}

/// The error for a response that refuses a request: the server's message if the response has one.
async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    match response.json::<ErrorBody>().await {
        Ok(body) => anyhow::anyhow!("{}", body.error.message),
        Err(_) => anyhow::anyhow!("the server answered {status}; is this a Baro server?"),
    }
}
