//! `baro publish`, `baro tail` and `baro demo`: a server's channels in a terminal. `baro backup` and `baro restore`: a data
//! folder's copies.

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

/// Waits before another try: half a second, doubling to ten, each anywhere in its upper half.
async fn pause(tries: u32) {
    let most = 500u64.saturating_mul(1 << tries.min(5)).min(10_000);
    let spread = getrandom::u64().unwrap_or(0) % (most / 2);
    tokio::time::sleep(Duration::from_millis(most / 2 + spread)).await;
}

/// What a refusing server said.
async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    match response.json::<ErrorBody>().await {
        Ok(body) => anyhow::anyhow!("{}", body.error.message),
        Err(_) => anyhow::anyhow!("the server answered {status}; is this a Baro server?"),
    }
}
