//! Formats times, dates and durations.

use super::Words;
use crate::{page::Lang, wire::Time};
use time::OffsetDateTime;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAYS_KO: [&str; 7] = ["월", "화", "수", "목", "금", "토", "일"];

/// Formats hours and minutes: `14:07`.
pub(super) fn minutes(time: OffsetDateTime) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

impl Words {
    /// Formats hours and minutes in the zone `zone` minutes east of UTC: `14:07`.
    pub fn clock(self, time: Time, zone: i16) -> String {
        minutes(time.civil(zone))
    }

    /// Formats hours, minutes and seconds, for messages from programs and for charts: `14:07:12`.
    pub fn clock_seconds(self, time: Time, zone: i16) -> String {
        let civil = time.civil(zone);
        format!("{}:{:02}", minutes(civil), civil.second())
    }

    /// Formats a date for a separator in the feed: `Monday, 14 September`. Adds the year if it differs from this year.
    pub fn day(self, time: Time, now: Time, zone: i16) -> String {
        let (civil, today) = (time.civil(zone), now.civil(zone));
        let this_year = civil.year() == today.year();
        let (month, day) = (usize::from(u8::from(civil.month())), civil.day());
        let weekday = usize::from(civil.weekday().number_days_from_monday());
        match (self.0, this_year) {
            (Lang::En, true) => format!("{}, {day} {}", DAYS[weekday], MONTHS[month - 1]),
            (Lang::En, false) => format!("{}, {day} {} {}", DAYS[weekday], MONTHS[month - 1], civil.year()),
            (Lang::Ko, true) => format!("{month}월 {day}일 {}요일", DAYS_KO[weekday]),
            (Lang::Ko, false) => format!("{}년 {month}월 {day}일 {}요일", civil.year(), DAYS_KO[weekday]),
        }
    }

    /// Formats date and time for use inside a sentence: `12 September 14:03`.
    pub fn moment(self, time: Time, zone: i16) -> String {
        let civil = time.civil(zone);
        let (month, day) = (usize::from(u8::from(civil.month())), civil.day());
        match self.0 {
            Lang::En => format!("{day} {} {}", MONTHS[month - 1], minutes(civil)),
            Lang::Ko => format!("{month}월 {day}일 {}", minutes(civil)),
        }
    }

    /// Formats date, time and zone in full, for tooltips and assistive technology.
    pub fn full(self, time: Time, zone: i16) -> String {
        let civil = time.civil(zone);
        let (hours, rest) = (zone.unsigned_abs() / 60, zone.unsigned_abs() % 60);
        let sign = if zone < 0 { '−' } else { '+' };
        format!(
            "{}-{:02}-{:02} {}:{:02} UTC{sign}{hours}:{rest:02}",
            civil.year(),
            u8::from(civil.month()),
            civil.day(),
            minutes(civil),
            civil.second()
        )
    }

    /// Formats the rough age of a message, for lists.
    pub fn ago(self, time: Time, now: Time) -> String {
        let seconds = (now.0 - time.0).max(0) / 1000;
        let (n, en, ko) = match seconds {
            0 => return self.now().to_owned(),
            1..60 => (seconds, "s", "초"),
            60..3600 => (seconds / 60, "min", "분"),
            3600..86_400 => (seconds / 3600, "h", "시간"),
            _ => (seconds / 86_400, "d", "일"),
        };
        self.choose(|| format!("{n} {en}"), || format!("{n}{ko}"))
    }

    /// Formats a duration for use inside a sentence: `38 s`, `2 min`, `3 h`, `2 days`.
    pub(super) fn span(self, seconds: u32) -> String {
        let (n, en, ko) = match seconds {
            0..120 => (seconds, "s", "초"),
            120..7200 => (seconds / 60, "min", "분"),
            7200..172_800 => (seconds / 3600, "h", "시간"),
            _ => (seconds / 86_400, "days", "일"),
        };
        self.choose(|| format!("{n} {en}"), || format!("{n}{ko}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_the_readers() {
        let time = at("2026-09-14T05:02:09.000Z");
        let (en, ko) = (Words(Lang::En), Words(Lang::Ko));
        assert_eq!(en.clock(time, 540), "14:02");
        assert_eq!(en.clock_seconds(time, 540), "14:02:09");
        assert_eq!(ko.day(time, time, 540), "9월 14일 월요일");
        assert_eq!(en.day(time, at("2027-01-01T00:00:00.000Z"), 540), "Monday, 14 September 2026");
        assert_eq!(en.full(time, -210), "2026-09-14 01:32:09 UTC−3:30");
    }

    #[test]
    fn ages_are_rough() {
        let now = at("2026-09-14T05:02:09.000Z");
        assert_eq!(Words(Lang::En).ago(now, now), "now");
        assert_eq!(Words(Lang::En).ago(Time(now.0 - 31_000), now), "31 s");
        assert_eq!(Words(Lang::Ko).ago(Time(now.0 - 7_200_000), now), "2시간");
        assert_eq!(Words(Lang::En).ago(Time(now.0 + 5_000), now), "now", "a clock ahead of ours");
    }
}
