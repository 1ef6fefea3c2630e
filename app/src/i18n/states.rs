//! Sentences about the connection, the gaps in the feed, the announcements and the charts.

use super::{Words, count};
use crate::{
    live::{Link, Transport},
    page::Lang,
    wire::{Missed, MissedReason, Time},
};

/// The pill says "slow" if the round trip takes longer than this many milliseconds.
pub const SLOW_MS: u32 = 500;

impl Words {
    /// The name of a transport.
    pub fn transport(self, transport: Transport) -> &'static str {
        match transport {
            Transport::WebSocket => "WebSocket",
            Transport::Sse => "SSE",
        }
    }

    /// A round trip: `12 ms`, `840 ms, slow`.
    pub fn round_trip(self, ms: u32) -> String {
        let n = count(ms as usize);
        if ms > SLOW_MS {
            self.choose(|| format!("{n} ms, slow"), || format!("{n} ms, 느림"))
        } else {
            format!("{n} ms")
        }
    }

    /// The state of the connection in words; `now` is when the page was rendered.
    pub fn link(self, link: Link, now: Time, zone: i16) -> String {
        match link {
            Link::Snapshot => {
                let clock = self.clock(now, zone);
                self.choose(|| format!("As of {clock}"), || format!("{clock} 기준"))
            }
            Link::Connecting => self.pick("Connecting", "연결하는 중").to_owned(),
            Link::Live { transport, round_trip_ms: None } => self.transport(transport).to_owned(),
            Link::Live { transport, round_trip_ms: Some(ms) } => {
                format!("{}, {}", self.transport(transport), self.round_trip(ms))
            }
            Link::CaughtUp { partly: true, .. } => {
                self.pick("Caught up, older ones are gone", "받음, 오래된 것은 없음").to_owned()
            }
            Link::CaughtUp { messages: 0, .. } => {
                self.pick("Connected again, nothing missed", "다시 연결됨, 놓친 메시지 없음").to_owned()
            }
            Link::CaughtUp { messages, .. } => self.caught_up(messages),
            Link::Reconnecting { seconds } => {
                self.choose(|| format!("Reconnecting in {seconds} s"), || format!("{seconds}초 뒤 다시 연결"))
            }
            Link::Offline => self.pick("Offline", "오프라인").to_owned(),
            Link::ServerDown => self.pick("Server not answering", "서버가 답하지 않음").to_owned(),
        }
    }

    fn caught_up(self, messages: u32) -> String {
        let n = count(messages as usize);
        self.choose(
            || if messages == 1 { "Caught up, 1 message".to_owned() } else { format!("Caught up, {n} messages") },
            || format!("메시지 {n}개 모두 받음"),
        )
    }

    /// The state in the narrow pill, next to the glyph: the round trip or the countdown.
    pub fn link_short(self, link: Link) -> Option<String> {
        match link {
            Link::Live { round_trip_ms: Some(ms), .. } => Some(format!("{} ms", count(ms as usize))),
            Link::Reconnecting { seconds } => Some(self.choose(|| format!("{seconds} s"), || format!("{seconds}초"))),
            _ => None,
        }
    }

    /// Text of the action next to the state.
    pub fn link_action(self, link: Link) -> Option<&'static str> {
        match link {
            Link::Snapshot => Some(self.reload()),
            Link::Reconnecting { .. } => Some(self.pick("Now", "지금")),
            Link::Offline | Link::ServerDown => Some(self.pick("Try again", "다시 시도")),
            Link::Connecting | Link::Live { .. } | Link::CaughtUp { .. } => None,
        }
    }

    /// An entry of the feed: the connection was lost, but no message is missing.
    pub fn away(self, seconds: u32) -> String {
        let span = self.span(seconds);
        self.choose(
            || format!("Connection lost for {span}. Nothing is missing."),
            || format!("{span} 끊겼다가 이어졌어요. 놓친 메시지는 없습니다."),
        )
    }

    /// An entry of the feed: messages are missing.
    pub fn missed(self, missed: &Missed, zone: i16) -> String {
        let before = missed.to_time.map(|time| self.moment(time, zone));
        match (missed.reason, self.0, before) {
            (MissedReason::Trimmed, Lang::En, Some(moment)) => {
                format!("Messages before {moment} are no longer kept here.")
            }
            (MissedReason::Trimmed, Lang::Ko, Some(moment)) => {
                format!("{moment} 이전 메시지는 더 이상 보관하지 않아요.")
            }
            (MissedReason::Trimmed, Lang::En, None) => "Some older messages are no longer kept here.".into(),
            (MissedReason::Trimmed, Lang::Ko, None) => "일부 이전 메시지는 더 이상 보관하지 않아요.".into(),
            (MissedReason::Lost, Lang::En, _) => "The server lost some messages that came before this point.".into(),
            (MissedReason::Lost, Lang::Ko, _) => "이 지점 앞의 일부 메시지가 서버에 남아 있지 않아요.".into(),
            (MissedReason::UnknownCursor, Lang::En, _) => "This server has a new history. It starts here.".into(),
            (MissedReason::UnknownCursor, Lang::Ko, _) => {
                "서버의 기록이 새로 시작되었어요. 여기부터 이어집니다.".into()
            }
        }
    }

    /// For screen readers: the number of new messages, and of the people and programs that sent them.
    pub fn arrived(self, messages: usize, people: usize, programs: usize) -> String {
        let (m, p, q) = (count(messages), count(people), count(programs));
        self.choose(
            || {
                let messages = if messages == 1 { "1 new message".to_owned() } else { format!("{m} new messages") };
                let people_word = if people == 1 { "1 person".to_owned() } else { format!("{p} people") };
                let program_word = if programs == 1 { "1 program".to_owned() } else { format!("{q} programs") };
                match (people, programs) {
                    (0, _) => format!("{messages}, {program_word}"),
                    (_, 0) => format!("{messages}, {people_word}"),
                    _ => format!("{messages}, {people_word}, {program_word}"),
                }
            },
            || match (people, programs) {
                (0, _) => format!("새 메시지 {m}개, 프로그램 {q}개"),
                (_, 0) => format!("새 메시지 {m}개, {p}명"),
                _ => format!("새 메시지 {m}개, {p}명, 프로그램 {q}개"),
            },
        )
    }

    /// For screen readers: a complete message.
    pub fn said(self, name: &str, text: &str) -> String {
        format!("{name}: {text}")
    }

    /// A chart in words, for assistive technology, with its latest, lowest and highest value.
    pub fn plot(self, label: &str, [latest, lowest, highest]: [&str; 3], minutes: i64) -> String {
        self.choose(
            || {
                let span = if minutes == 1 { "past minute".to_owned() } else { format!("past {minutes} minutes") };
                format!("{label}: latest {latest}, lowest {lowest}, highest {highest}, {span}.")
            },
            || format!("{label}: 최근 {latest}, 최저 {lowest}, 최고 {highest}, 지난 {minutes}분."),
        )
    }

    /// A chart in words when it has no reading in its window.
    pub fn plot_empty(self, label: &str, minutes: i64) -> String {
        self.choose(
            || format!("{label}: nothing in the past {minutes} min."),
            || format!("{label}: 지난 {minutes}분 동안 온 값이 없어요."),
        )
    }

    /// Shown on a paused chart; `behind` is the number of readings since then.
    pub fn paused(self, clock: &str, behind: usize) -> String {
        let n = count(behind);
        self.choose(|| format!("Paused at {clock}, {n} behind"), || format!("{clock}에 멈춤, {n}개 밀림"))
    }

    /// The short name of a chart's time range.
    pub fn minutes(self, minutes: i64) -> String {
        self.choose(|| format!("{minutes}m"), || format!("{minutes}분"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pill_says_what_section_nine_says() {
        let (en, ko) = (Words(Lang::En), Words(Lang::Ko));
        let now: Time = "2026-09-14T05:03:00.000Z".parse().unwrap();
        let live = Link::Live { transport: Transport::WebSocket, round_trip_ms: Some(840) };
        let caught = |messages, partly| Link::CaughtUp { transport: Transport::Sse, messages, partly };
        for (link, english, korean) in [
            (Link::Snapshot, "As of 14:03", "14:03 기준"),
            (Link::Connecting, "Connecting", "연결하는 중"),
            (live, "WebSocket, 840 ms, slow", "WebSocket, 840 ms, 느림"),
            (Link::Reconnecting { seconds: 3 }, "Reconnecting in 3 s", "3초 뒤 다시 연결"),
            (caught(14, false), "Caught up, 14 messages", "메시지 14개 모두 받음"),
            (caught(0, false), "Connected again, nothing missed", "다시 연결됨, 놓친 메시지 없음"),
            (caught(9, true), "Caught up, older ones are gone", "받음, 오래된 것은 없음"),
        ] {
            assert_eq!(en.link(link, now, 540), english);
            assert_eq!(ko.link(link, now, 540), korean);
        }
        assert_eq!(en.away(38), "Connection lost for 38 s. Nothing is missing.");
        assert_eq!(en.arrived(7, 2, 1), "7 new messages, 2 people, 1 program");
    }
}
