//! Channel names: validation, normalisation and URL path.

use super::limits::CHANNEL_NAME_CHARS;
use serde::{Deserialize, Deserializer, Serialize};
use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A valid channel name: 1 to 64 letters, marks and digits of any script, `-`, `_` and `.`, not starting with `.`.
/// It is normalised to NFC, because keyboards differ in how they compose the same letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ChannelName(Arc<str>);

/// Why a text is not a channel name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a channel name has at least one character")]
    Empty,
    /// The text has more than [`CHANNEL_NAME_CHARS`] characters.
    #[error("a channel name has at most 64 characters")]
    TooLong,
    /// The text starts with `.`. Such names are reserved for files like `.env`.
    #[error("a channel name does not start with a dot")]
    LeadingDot,
    /// The text contains a character outside the allowed set.
    #[error("a channel name has letters, digits, '-', '_' and '.' only, not {0:?}")]
    Character(char),
}

impl ChannelName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the percent-encoded path of the channel: `/c/%EC%98%A8`.
    pub fn path(&self) -> String {
        let mut path = String::from("/c/");
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
        path
    }
}

impl FromStr for ChannelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // A composed character replaces at most four characters of four bytes, so a longer text stays too long.
        if text.len() > CHANNEL_NAME_CHARS * 16 {
            return Err(NameError::TooLong);
        }
        // ASCII text is always in NFC.
        let name: Cow<'_, str> = if text.is_ascii() { text.into() } else { text.nfc().collect::<String>().into() };
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.starts_with('.') {
            return Err(NameError::LeadingDot);
        }
        if let Some(bad) = name.chars().find(|c| !is_allowed(*c)) {
            return Err(NameError::Character(bad));
        }
        if name.chars().count() > CHANNEL_NAME_CHARS {
            return Err(NameError::TooLong);
        }
        Ok(Self(name.as_ref().into()))
    }
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '_' | '.')
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<'de> Deserialize<'de> for ChannelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn any_script_is_welcome() {
        for name in ["demo", "온실-3동", "vm_stat.1", "मराठी", "ﻋﺮﺑﻲ", "A-9"] {
            assert!(name.parse::<ChannelName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn decomposed_hangul_is_the_same_channel() {
        let composed: ChannelName = "온실".parse().unwrap();
        let decomposed: ChannelName = "온실".nfd().collect::<String>().parse().unwrap();
        assert_eq!(composed, decomposed);
        assert_eq!(composed.path(), "/c/%EC%98%A8%EC%8B%A4");
    }

    #[test]
    fn bad_names_say_why() {
        let error = |text: &str| text.parse::<ChannelName>().unwrap_err();
        assert_eq!(error(""), NameError::Empty);
        assert_eq!(error(".env"), NameError::LeadingDot);
        assert_eq!(error("a b"), NameError::Character(' '));
        assert_eq!(error("a/b"), NameError::Character('/'));
        assert_eq!(error(&"x".repeat(65)), NameError::TooLong);
        assert_eq!(error(&"온".repeat(5000)), NameError::TooLong);
        assert!("온".repeat(64).parse::<ChannelName>().is_ok());
    }

    proptest! {
        #[test]
        fn parsing_is_stable(text in any::<String>()) {
            if let Ok(name) = text.parse::<ChannelName>() {
                prop_assert_eq!(name.as_str().parse::<ChannelName>().unwrap(), name);
            }
        }
    }
}
