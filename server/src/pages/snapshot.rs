//! The initial content of a channel's page.

use crate::{
    engine::ReadError,
    hub::{Hub, Until},
    limits::{CHART_MESSAGES, CONTINUED_MESSAGES, PAGE_MESSAGES, SIDE_CHANNELS},
};
use app::{
    chart,
    page::{Channel, Refused},
    wire::{ChannelName, Id},
};

/// The initial content of a channel's page. `at` is a message to show, `refused` a form post to show again. The cursor
/// is the last message shown, or the head when it was read. The page receives later messages over its connection.
///
/// # Errors
/// Returns an error if the store cannot be read.
pub async fn channel(
    hub: &Hub,
    name: ChannelName,
    at: Option<Id>,
    refused: Option<Refused>,
    max_message: usize,
) -> Result<Channel, ReadError> {
    let channels = [name.clone()];
    let cursor = hub.cursor(hub.head());
    // A link to a message shows the page that ends shortly after it.
    let until = match at {
        Some(at) => hub.some_after(&name, at, PAGE_MESSAGES / 2).await?.unwrap_or(cursor),
        None => cursor,
    };
    let history = hub.history(&channels, Until::At(until), CHART_MESSAGES).await?;
    let split = history.messages.len().saturating_sub(PAGE_MESSAGES);
    let (earlier, shown) = history.messages.split_at(split);
    let side = hub.channels(0).await?;
    let cursor = match (at, shown.last()) {
        (Some(_), Some(last)) => last.message.id,
        _ => cursor,
    };
    let here = hub.here(&name);
    Ok(Channel {
        continues: at.is_none() || hub.is_near(&name, cursor, CONTINUED_MESSAGES).await?,
        name,
        messages: shown.iter().map(|stored| stored.message.clone()).collect(),
        readings: earlier.iter().filter_map(|stored| chart::readings(&stored.message)).collect(),
        cursor,
        older: split > 0 || history.more,
        at,
        channels: side.into_iter().map(|entry| entry.channel).take(SIDE_CHANNELS).collect(),
        form_key: format!("form-{:016x}", getrandom::u64().unwrap_or_default()),
        refused,
        max_message,
        here,
    })
}
