//! Message ids and cursors: `epoch.offset`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// The maximum length of an epoch. Every number of 12 digits fits into a `u64`, because 36^12 does.
const EPOCH_CHARS: usize = 12;

/// The epoch of a log. Every start of the server begins a new epoch. Written in base 36, lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// Makes an epoch of six characters from random bits.
    pub fn from_random(bits: u64) -> Self {
        const SPAN: u64 = 36u64.pow(6) - 36u64.pow(5);
        Self(36u64.pow(5) + bits % SPAN)
    }
}

/// A buffer that is filled from its end, so that a number needs no second pass to count its digits. Every message has
/// several ids, so formatting them must be fast.
struct Text {
    bytes: [u8; Self::MOST],
    from: usize,
}

impl Text {
    /// A `u64` has at most 13 digits in base 36 and 20 digits in base 10, and a dot separates the two numbers.
    const MOST: usize = 13 + 1 + 20;

    fn new() -> Self {
        Self { bytes: [0; Self::MOST], from: Self::MOST }
    }

    fn push(&mut self, byte: u8) {
        self.from -= 1;
        self.bytes[self.from] = byte;
    }

    fn number<const BASE: u64>(&mut self, mut number: u64) {
        loop {
            self.push(DIGITS[(number % BASE) as usize]);
            number /= BASE;
            if number == 0 {
                return;
            }
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.from..]).unwrap_or_default()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::new();
        text.number::<36>(self.0);
        f.write_str(text.as_str())
    }
}

impl FromStr for Epoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let canonical = !text.is_empty() && text.len() <= EPOCH_CHARS && (text == "0" || !text.starts_with('0'));
        if !canonical {
            return Err(IdError);
        }
        text.bytes()
            .try_fold(0u64, |value, byte| {
                let digit = DIGITS.iter().position(|d| *d == byte)?;
                Some(value * 36 + digit as u64)
            })
            .map(Self)
            .ok_or(IdError)
    }
}

/// `epoch.offset`: the id of a message. It is also a reader's cursor, which means "I have everything up to here".
/// Clients treat it as opaque: they keep the last id and send it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    /// The epoch in which the server made this id.
    pub epoch: Epoch,
    /// The offset in the log. It only grows, and all channels share it.
    pub offset: u64,
}

/// The text does not have the form `epoch.offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: ids look like k3x9ab.1042 and come from messages and answers")]
pub struct IdError;

impl Id {
    fn text(self) -> Text {
        let mut text = Text::new();
        text.number::<10>(self.offset);
        text.push(b'.');
        text.number::<36>(self.epoch.0);
        text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (epoch, offset) = text.split_once('.').ok_or(IdError)?;
        let canonical = offset.bytes().all(|b| b.is_ascii_digit())
            && !offset.is_empty()
            && (offset == "0" || !offset.starts_with('0'));
        if !canonical {
            return Err(IdError);
        }
        let offset: u64 = offset.parse().map_err(|_| IdError)?;
        // Stores keep offsets as signed 64-bit integers.
        if offset > i64::MAX as u64 {
            return Err(IdError);
        }
        Ok(Self { epoch: epoch.parse()?, offset })
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(bits in any::<u64>(), offset in 0..=i64::MAX as u64) {
            let id = Id { epoch: Epoch::from_random(bits), offset };
            prop_assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
        }

        #[test]
        fn what_parses_prints_the_same(text in "[a-z0-9]{1,14}\\.[0-9]{1,21}") {
            if let Ok(id) = text.parse::<Id>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", ".", "k3", "k3.", ".5", "k3.x", "k3.1.2", "K3.1", "k3.-1", "k3.01", "k3.+1", "k3.99999999999999999999"]
        {
            assert_eq!(text.parse::<Id>(), Err(IdError), "{text}");
        }
    }
}
