//! Timestamps of messages, written as RFC 3339 in UTC.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Wall-clock time in milliseconds since 1970, for people only. Order, cursors and leases never depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub i64);

/// The text is not an RFC 3339 time in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-11-22T05:06:07.089Z")]
pub struct TimeError;

impl Time {
    /// Returns the civil date and time in the zone `zone` minutes east of UTC. A time out of range becomes 1970.
    pub fn civil(self, zone: i16) -> OffsetDateTime {
        let offset = UtcOffset::from_whole_seconds(i32::from(zone) * 60).unwrap_or(UtcOffset::UTC);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(offset)
    }
}

/// An RFC 3339 time with milliseconds and a year of four digits. Written without the `time` formatter, which would take
/// half of the time to encode a message.
struct Text([u8; 24]);

impl Text {
    fn of(time: Time) -> Option<Self> {
        let civil = time.civil(0);
        let year = u32::try_from(civil.year()).ok().filter(|year| *year <= 9999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, mut number: u32| {
            for digit in text[..end].iter_mut().rev().take_while(|byte| byte.is_ascii_digit()) {
                *digit += (number % 10) as u8;
                number /= 10;
            }
        };
        put(4, year);
        put(7, u32::from(u8::from(civil.month())));
        put(10, civil.day().into());
        put(13, civil.hour().into());
        put(16, civil.minute().into());
        put(19, civil.second().into());
        put(23, civil.millisecond().into());
        Some(Self(text))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    /// Writes RFC 3339 with milliseconds: `2026-11-22T05:06:07.089Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Text::of(*self) {
            Some(text) => f.write_str(text.as_str()),
            None => f.write_str(&self.civil(0).format(FORMAT).map_err(|_| fmt::Error)?),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = time::PrimitiveDateTime::parse(text, FORMAT).map_err(|_| TimeError)?;
        i64::try_from(time.assume_utc().unix_timestamp_nanos() / 1_000_000).map(Self).map_err(|_| TimeError)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Text::of(*self) {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
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
        fn prints_what_the_library_prints(millis in -400_000_000_000_000_i64..400_000_000_000_000) {
            let time = Time(millis);
            prop_assert_eq!(time.to_string(), time.civil(0).format(FORMAT).unwrap());
            prop_assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{time}\""));
        }
    }

    #[test]
    fn prints_milliseconds_and_reads_them_back() {
        let time = Time(1_795_323_967_089);
        assert_eq!(time.to_string(), "2026-11-22T05:06:07.089Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("yesterday".parse::<Time>(), Err(TimeError));
    }
}
