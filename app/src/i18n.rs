//! Every sentence of the page, in English and Korean, as pure functions from values to text.
//!
//! No sentence is assembled from fragments, because word order and plural forms differ between languages. Korean
//! sentences are worded so that no particle depends on the last sound of a name.

mod numbers;
mod states;
mod times;

pub use numbers::{bytes, count, value};
pub use states::SLOW_MS;

use crate::{page::Lang, wire::NameError};

/// The sentences in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words(pub Lang);

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $ko:literal;)*) => {
        impl Words {
            $($(#[$doc])* pub fn $name(self) -> &'static str { self.pick($en, $ko) })*
        }
    };
}

labels! {
    /// Title of the list of channels.
    channels: "Channels", "채널";
    /// Heading of the side column.
    other_channels: "Your channels", "채널 목록";
    /// Link to the form that opens a channel, and heading of the form.
    open_a_channel: "Open a channel", "채널 열기";
    /// Text under the heading "Open a channel".
    open_help: "Joins it if it exists, makes it if it does not.", "있으면 들어가고, 없으면 새로 만듭니다.";
    /// Button that opens a channel.
    open: "Open", "열기";
    /// Label of the field for the channel name.
    channel_name: "Channel name", "채널 이름";
    /// Hint below the field for the channel name: the valid characters.
    name_rule: "Letters in any language, numbers, “-”, “_” and “.”.", "어떤 언어든 글자, 숫자, ‘-’, ‘_’, ‘.’를 쓸 수 있어요.";
    /// Heading of the card with commands on the home page.
    send_now: "Send something now", "지금 보내 보기";
    /// Text under the heading "Send something now".
    send_now_help: "Paste this in a terminal and watch it arrive.", "터미널에 붙여 넣고 도착하는 것을 보세요.";
    /// Heading of the card with the command on a channel's page.
    send_from_program: "Send from a program", "프로그램에서 보내기";
    /// The message that the commands in the card publish.
    hello: "Hello, Baro", "안녕, 바로";
    /// Button that copies a command.
    copy: "Copy", "복사";
    /// Text of the copy button after a press.
    copied: "Copied", "복사함";
    /// Link that skips to the content.
    skip: "Skip to content", "본문으로 건너뛰기";
    /// Landmark label of the links in the app bar.
    main_navigation: "Baro", "바로";
    /// Column heading.
    last: "Last", "마지막";
    /// Column heading.
    channel: "Channel", "채널";
    /// Column heading.
    message: "Message", "메시지";
    /// Column heading.
    past_hour: "Past hour", "지난 1시간";
    /// Label of the present: the end of a sparkline, a chart and the feed.
    now: "now", "지금";
    /// Column heading.
    here: "Here", "여기";
    /// Heading of the list when the server has no channels.
    no_channels: "No channels yet", "아직 채널이 없어요";
    /// Text under the heading "No channels yet".
    no_channels_help: "Choose a name and it opens. A first message from a terminal works as well.", "이름을 정하면 바로 열려요. 터미널에서 먼저 보내도 채널이 생겨요.";
    /// Text under the list of channels.
    newest_first: "Newest message first.", "새 메시지가 온 채널이 위에 있어요.";
    /// Heading of an empty channel.
    beginning: "This is the beginning", "여기가 시작입니다";
    /// Link to older messages.
    older: "Show older messages", "이전 메시지 더 보기";
    /// Link from the history back to the newest messages.
    newest: "Go to now", "지금으로 가기";
    /// Label of the feed.
    messages: "Messages", "메시지";
    /// Marks the visitor's own name.
    you: "you", "나";
    /// Marks a writing sender in the list of people in the channel.
    writes: "writing", "쓰는 중";
    /// Label of the message field.
    your_message: "Message", "메시지";
    /// Button that sends the message.
    send: "Send", "보내기";
    /// The send button when the message is JSON.
    send_json: "Send JSON", "JSON 보내기";
    /// Hint below the message field.
    enter_sends: "Enter to send, Shift+Enter for a new line", "Enter로 보내기, Shift+Enter로 줄바꿈";
    /// State of an outgoing message.
    sending: "Sending", "보내는 중";
    /// State of an outgoing message.
    waiting: "Waiting", "기다림";
    /// State of an outgoing message.
    failed: "Failed", "실패";
    /// Button that retries a failed message.
    send_again: "Send again", "다시 보내기";
    /// Button that discards a failed message.
    delete: "Delete", "지우기";
    /// The reason that is shown for a failed message without an answer.
    no_answer: "The server did not answer for 10 s.", "서버가 10초 동안 답하지 않음";
    /// Heading of the charts.
    live_values: "Live values", "실시간 값";
    /// Label of the selection of a time range.
    range: "Range", "구간";
    /// Button that pauses the charts.
    pause: "Pause", "멈춤";
    /// Button that resumes the charts.
    resume: "Resume", "이어서 보기";
    /// Toggle that shows the numbers as a table.
    show_table: "Show as table", "표로 보기";
    /// Column heading.
    time: "Time", "시각";
    /// Text of a chart that has no numbers yet; an example of a message follows it.
    no_numbers: "A chart appears when messages have numbers, such as", "숫자가 든 메시지가 오면 그래프가 그려져요. 예:";
    /// Title of the menu behind the visitor's own node.
    settings: "Your name and language", "이름과 언어";
    /// Label of the field for the visitor's name.
    your_name: "Name", "이름";
    /// Button that saves the visitor's name.
    save: "Save", "저장";
    /// Label of the choice of language.
    language: "Language", "언어";
    /// Toggle that expands long text.
    show_all: "Show all", "모두 보기";
    /// Toggle that collapses long text.
    show_less: "Show less", "줄여 보기";
    /// Toggle that shows a JSON body on several lines.
    json_details: "Show the JSON over several lines", "JSON을 여러 줄로 보기";
    /// Link to the list of channels on an error page.
    to_channels: "Channels", "채널 목록";
    /// Text above the message field after a form post was refused.
    not_sent: "Not sent.", "보내지 못했어요.";
    /// Link that reloads the page.
    reload: "Reload", "새로 고침";
    /// Text when the script or the WASM module could not be loaded.
    not_live: "Live updates could not start.", "실시간 연결을 시작하지 못했어요.";
}

impl Words {
    /// Text after the visitor's new name was saved.
    pub fn name_saved(self, name: &str) -> String {
        match self.0 {
            Lang::En => format!("Saved: you are {name} now."),
            Lang::Ko => format!("저장했어요. 이제 이름은 ‘{name}’입니다."),
        }
    }

    /// Text after the visitor's new name was refused; `why` is the server's reason.
    pub fn name_refused(self, why: &str) -> String {
        match self.0 {
            Lang::En => format!("Your name stays as it was: {why}."),
            Lang::Ko => format!("이름을 바꾸지 못했어요: {why}"),
        }
    }

    fn pick(self, en: &'static str, ko: &'static str) -> &'static str {
        match self.0 {
            Lang::En => en,
            Lang::Ko => ko,
        }
    }

    fn choose(self, en: impl FnOnce() -> String, ko: impl FnOnce() -> String) -> String {
        match self.0 {
            Lang::En => en(),
            Lang::Ko => ko(),
        }
    }

    /// The title of the document. `unseen` is the number of messages that the visitor has not seen.
    pub fn title(self, subject: Option<&str>, unseen: usize) -> String {
        match (subject, unseen) {
            (Some(subject), 0) => format!("{subject} – Baro"),
            (Some(subject), unseen) => format!("({}) {subject} – Baro", count(unseen)),
            (None, _) => self.pick("Baro", "Baro 바로").to_owned(),
        }
    }

    /// How many channels are open.
    pub fn open_channels(self, channels: usize) -> String {
        let n = count(channels);
        self.choose(|| if channels == 1 { "1 open".to_owned() } else { format!("{n} open") }, || format!("{n}개 열림"))
    }

    /// The number of connections that read a channel, for assistive technology.
    pub fn here_now(self, here: u32) -> String {
        let n = count(here as usize);
        self.choose(|| format!("{n} here now"), || format!("지금 여기 {n}"))
    }

    /// The number of visitors and programs in a channel.
    pub fn people_and_programs(self, people: u32, programs: u32) -> String {
        let (n, m) = (count(people as usize), count(programs as usize));
        let one = |number: u32, one: &str, many: &str| if number == 1 { one.to_owned() } else { many.to_owned() };
        self.choose(
            || {
                let (person, program) = (one(people, "person", "people"), one(programs, "program", "programs"));
                format!("{n} {person}, {m} {program}")
            },
            || format!("사람 {n}, 프로그램 {m}"),
        )
    }

    /// Who else is writing; empty if nobody is.
    pub fn writing(self, names: &[String]) -> String {
        match names {
            [] => String::new(),
            [one] => self.choose(|| format!("{one} is writing"), || format!("{one} 님이 쓰고 있어요")),
            [one, two] => {
                self.choose(|| format!("{one} and {two} are writing"), || format!("{one} 님, {two} 님이 쓰고 있어요"))
            }
            many => {
                let n = count(many.len());
                self.choose(|| format!("{n} people are writing"), || format!("{n}명이 쓰고 있어요"))
            }
        }
    }

    /// A sparkline in words, for assistive technology.
    pub fn pace(self, messages: u32) -> String {
        let n = count(messages as usize);
        self.choose(
            || {
                if messages == 1 {
                    "1 message in the past hour".to_owned()
                } else {
                    format!("{n} messages in the past hour")
                }
            },
            || format!("지난 1시간 동안 메시지 {n}개"),
        )
    }

    /// Why a text is not a channel name.
    pub fn name_error(self, error: &NameError) -> String {
        match error {
            NameError::Empty => self.pick("Type a name.", "이름을 써 주세요.").to_owned(),
            NameError::TooLong => self.pick("At most 64 characters.", "64자까지 쓸 수 있어요.").to_owned(),
            NameError::LeadingDot => {
                self.pick("A name does not start with a dot.", "점으로 시작할 수 없어요.").to_owned()
            }
            NameError::Character(' ') => {
                self.pick("No spaces. “-” works instead.", "빈칸은 쓸 수 없어요. ‘-’로 이어 주세요.").to_owned()
            }
            NameError::Character(c) => self
                .choose(|| format!("“{c}” cannot be part of a name."), || format!("‘{c}’ 글자는 이름에 쓸 수 없어요.")),
        }
    }

    /// Text under the heading of an empty channel.
    pub fn empty_channel(self, name: &str) -> String {
        self.choose(
            || format!("Nothing in “{name}” yet. The first message opens it."),
            || format!("‘{name}’에는 아직 메시지가 없어요. 첫 메시지를 보내면 열려요."),
        )
    }

    /// Placeholder of the message field.
    pub fn write_to(self, name: &str) -> String {
        self.choose(|| format!("Write to {name}"), || format!("{name}에 쓰기"))
    }

    /// Text of the button that jumps to new messages.
    pub fn new_messages(self, messages: usize) -> String {
        let n = count(messages);
        self.choose(
            || if messages == 1 { "1 new message".to_owned() } else { format!("{n} new messages") },
            || format!("새 메시지 {n}개"),
        )
    }

    /// Shown instead of a binary body; `size` is in bytes.
    pub fn binary(self, size: usize) -> String {
        let n = count(size);
        self.choose(|| format!("binary, {n} B"), || format!("바이너리, {n} B"))
    }

    /// Toggle that expands a long text, with its number of lines.
    pub fn all_lines(self, lines: usize) -> String {
        let n = count(lines);
        self.choose(|| format!("Show all {n} lines"), || format!("{n}줄 모두 보기"))
    }

    /// Text below the message field while the page is not connected; `waiting` is the number of queued messages.
    pub fn queue(self, waiting: usize) -> String {
        let n = count(waiting);
        match waiting {
            0 => self.pick("Will send when connected.", "연결되면 바로 보냅니다.").to_owned(),
            _ => self.choose(
                || format!("Will send when connected. {n} waiting"),
                || format!("연결되면 바로 보냅니다. {n}개 기다리는 중"),
            ),
        }
    }

    /// The size of the message and the limit, both given in bytes.
    pub fn size_of(self, size: usize, limit: usize) -> String {
        let (size, limit) = (bytes(size), bytes(limit));
        self.choose(|| format!("{size} of {limit}"), || format!("{limit} 중 {size}"))
    }

    /// The line and column where the typed JSON becomes invalid, if known.
    pub fn json_error(self, place: Option<(usize, usize)>) -> String {
        match place {
            Some((line, column)) => self.choose(
                || format!("Line {line}, column {column}: this is not JSON yet"),
                || format!("{line}번째 줄 {column}번째 글자: 아직 JSON이 아니에요"),
            ),
            None => self.pick("This is not JSON yet", "아직 JSON이 아니에요").to_owned(),
        }
    }

    /// Label of the visitor's own node, for assistive technology.
    pub fn own_node(self, name: &str) -> String {
        self.choose(|| format!("{name}, that is you: name and language"), || format!("나({name}): 이름과 언어"))
    }

    /// The title of an error page.
    pub fn problem_title(self, status: u16) -> &'static str {
        match status {
            403 => self.pick("Not allowed", "들어갈 수 없어요"),
            404 => self.pick("There is nothing here", "여기에는 아무것도 없어요"),
            400..=499 => self.pick("This did not work", "요청대로 할 수 없었어요"),
            _ => self.pick("The server could not answer", "서버가 답하지 못했어요"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_have_their_own_form() {
        assert_eq!(Words(Lang::En).new_messages(1), "1 new message");
        assert_eq!(Words(Lang::En).new_messages(1284), "1,284 new messages");
        assert_eq!(Words(Lang::Ko).new_messages(2), "새 메시지 2개");
        assert_eq!(Words(Lang::Ko).queue(2), "연결되면 바로 보냅니다. 2개 기다리는 중");
    }

    #[test]
    fn titles() {
        assert_eq!(Words(Lang::En).title(Some("deploy"), 3), "(3) deploy – Baro");
        assert_eq!(Words(Lang::Ko).title(None, 0), "Baro 바로");
    }
}
