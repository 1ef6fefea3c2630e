use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Wall time in milliseconds since 1970, for people only: no order, cursor or lease comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub i64);

/// The text is not a time in RFC 3339, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-11-22T05:06:07.089Z")]
pub struct TimeError;

impl Time {
    /// The civil date and time, `zone` minutes east of UTC. Times out of range become 1970.
    pub fn civil(self, zone: i16) -> OffsetDateTime {
        let offset = UtcOffset::from_whole_seconds(i32::from(zone) * 60).unwrap_or(UtcOffset::UTC);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(offset)
    }
}

impl fmt::Display for Time {
    /// RFC 3339 with milliseconds: `2026-11-22T05:06:07.089Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.civil(0).format(FORMAT).map_err(|_| fmt::Error)?)
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
        serializer.collect_str(self)
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

    #[test]
    fn prints_milliseconds_and_reads_them_back() {
        let time = Time(1_795_323_967_089);
        assert_eq!(time.to_string(), "2026-11-22T05:06:07.089Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("yesterday".parse::<Time>(), Err(TimeError));
    }
}
