//! What every way to publish checks, and what every way to subscribe does.

use super::refusal::Refusal;
use crate::engine::Draft;
use app::wire::{ChannelName, ErrorCode, limits};

/// Checks a message that is to be published.
///
/// # Errors
/// Returns a refusal if the body is larger than `max_message`, or if the idempotency key is not valid.
pub fn check_draft(draft: Draft, max_message: usize) -> Result<Draft, Refusal> {
    if draft.body.as_bytes().len() > max_message {
        return Err(Refusal::too_large(max_message));
    }
    if let Some(key) = &draft.key {
        let fits = !key.is_empty() && key.len() <= limits::KEY_BYTES && !key.chars().any(char::is_control);
        if !fits {
            let message = format!("an idempotency key has 1 to {} bytes of printable text", limits::KEY_BYTES);
            return Err(Refusal::new(ErrorCode::BadKey, message));
        }
    }
    Ok(draft)
}

/// A set of channels from their names; equal names count once.
///
/// # Errors
/// Returns a refusal if a name is not valid, or if there are too many.
pub fn channel_set<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<ChannelName>, Refusal> {
    let mut channels: Vec<ChannelName> = Vec::new();
    for name in names {
        let channel = name.parse()?;
        if !channels.contains(&channel) {
            channels.push(channel);
        }
        if channels.len() > limits::CHANNELS_PER_SUBSCRIPTION {
            let message = format!("at most {} channels at once", limits::CHANNELS_PER_SUBSCRIPTION);
            return Err(Refusal::new(ErrorCode::TooManyChannels, message));
        }
    }
    Ok(channels)
}
