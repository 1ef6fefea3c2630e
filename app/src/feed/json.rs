//! Formats JSON bodies for the feed and finds the numbers that a chart can draw.

use std::borrow::Cow;

/// Maximum characters of a JSON body that is shown on one line, and of one value in it.
const ONE_LINE_CHARS: usize = 240;
/// Maximum numbers of one body that are linked to a chart. A body with more numbers is probably not a measurement.
const MAX_NUMBERS: usize = 64;
/// A longer body is shown as it was sent. Bounds the work in the browser.
const MAX_PRETTY_BYTES: usize = 64 * 1024;

/// A part of a formatted JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that a chart cannot draw.
    Plain(String),
    /// A number that a chart can draw: at the top level of an object, one level below, or alone.
    Number {
        /// The field's name, such as `temp`, `outside.temp` or `value`.
        field: String,
        /// The number as it was sent.
        text: String,
    },
}

/// Returns the numbers that a chart can draw, in the order of the message. `json` must be valid JSON.
pub fn numbers(json: &str) -> Vec<(String, f64)> {
    if json.len() > MAX_PRETTY_BYTES {
        return Vec::new();
    }
    let mut found: Vec<(String, f64)> = Vec::new();
    let mut path = Path::default();
    for token in tokens(json) {
        if let Some(field) = path.step(token)
            && let Ok(number) = token.text.parse::<f64>()
            && number.is_finite()
            && !found.iter().any(|(known, _)| *known == field)
            && found.len() < MAX_NUMBERS
        {
            found.push((field, number));
        }
    }
    found
}

/// Formats the body on one line and cuts it after the maximum length.
pub fn one_line(json: &str) -> Vec<Piece> {
    let mut writer = Writer::default();
    for token in tokens(json) {
        if writer.chars > ONE_LINE_CHARS {
            writer.plain(" …");
            break;
        }
        let field = writer.path.step(token);
        match token.text {
            "{" | "[" if !token.empty => writer.plain(if token.text == "{" { "{ " } else { "[" }),
            "}" if !token.empty => writer.plain(" }"),
            "," => writer.plain(", "),
            ":" => writer.plain(": "),
            text => writer.value(field, &shorten(text)),
        }
    }
    writer.pieces
}

/// Formats the body on several indented lines.
pub fn several_lines(json: &str) -> Vec<Piece> {
    if json.len() > MAX_PRETTY_BYTES {
        return vec![Piece::Plain(json.to_owned())];
    }
    let mut writer = Writer::default();
    let mut depth = 0usize;
    for token in tokens(json) {
        let field = writer.path.step(token);
        match token.text {
            "{" | "[" => {
                writer.plain(token.text);
                depth += 1;
                if !token.empty {
                    writer.line(depth);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                if !token.empty {
                    writer.line(depth);
                }
                writer.plain(token.text);
            }
            "," => {
                writer.plain(",");
                writer.line(depth);
            }
            ":" => writer.plain(": "),
            text => writer.value(field, text),
        }
    }
    writer.pieces
}

fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(ONE_LINE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[derive(Default)]
struct Writer {
    pieces: Vec<Piece>,
    path: Path,
    chars: usize,
    numbers: usize,
}

impl Writer {
    fn plain(&mut self, text: &str) {
        self.chars += text.chars().count();
        match self.pieces.last_mut() {
            Some(Piece::Plain(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Plain(text.to_owned())),
        }
    }

    fn line(&mut self, depth: usize) {
        self.plain("\n");
        self.plain(&"  ".repeat(depth));
    }

    fn value(&mut self, field: Option<String>, text: &str) {
        match field {
            Some(field) if self.numbers < MAX_NUMBERS => {
                self.numbers += 1;
                self.chars += text.len();
                self.pieces.push(Piece::Number { field, text: text.to_owned() });
            }
            _ => self.plain(text),
        }
    }
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// Whether the token is a bracket of an empty object or array.
    empty: bool,
}

/// An iterator over the tokens of valid JSON. On invalid JSON it ends early or returns wrong tokens, but never panics.
struct Tokens<'a> {
    rest: &'a str,
    just_opened: bool,
}

fn tokens(json: &str) -> Tokens<'_> {
    Tokens { rest: json, just_opened: false }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.rest.trim_start();
        let first = *rest.as_bytes().first()?;
        let end = match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string_end(rest),
            _ => rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len()).max(1),
        };
        let (text, after) = rest.split_at_checked(end)?;
        let opens = matches!(first, b'{' | b'[');
        let empty = match first {
            b'{' | b'[' => after.trim_start().starts_with(['}', ']']),
            b'}' | b']' => self.just_opened,
            _ => false,
        };
        (self.rest, self.just_opened) = (after, opens);
        Some(Token { text, empty })
    }
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The position of a token: the keys of the enclosing objects.
#[derive(Default)]
struct Path {
    /// The current key of each enclosing object; `None` for an array.
    keys: Vec<Option<String>>,
    in_value: bool,
}

impl Path {
    /// Reads the next token. Returns the field's name if the token is a number that a chart can draw.
    fn step(&mut self, token: Token<'_>) -> Option<String> {
        match token.text.as_bytes().first()? {
            b'{' => {
                self.keys.push(Some(String::new()));
                self.in_value = false;
            }
            b'[' => {
                self.keys.push(None);
                self.in_value = true;
            }
            b'}' | b']' => {
                self.keys.pop();
            }
            b',' => self.in_value = !matches!(self.keys.last(), Some(Some(_))),
            b':' => self.in_value = true,
            b'"' if !self.in_value => {
                if let Some(Some(key)) = self.keys.last_mut() {
                    *key = serde_json::from_str(token.text).unwrap_or_default();
                }
            }
            b'-' | b'0'..=b'9' => return self.field(),
            _ => {}
        }
        None
    }

    fn field(&self) -> Option<String> {
        match self.keys.as_slice() {
            [] => Some("value".to_owned()),
            [Some(key)] => Some(key.clone()),
            [Some(outer), Some(inner)] => Some(format!("{outer}.{inner}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Plain(text) | Piece::Number { text, .. } => text.as_str(),
            })
            .collect()
    }

    #[test]
    fn numbers_are_found_where_a_chart_draws_them() {
        let found = numbers(
            r#"{"temp":24.8,"on":true,"out":{"hum":61.20,"deep":{"x":1}},"list":[1,{"y":2}],"t\"":-1e3,"s":"5"}"#,
        );
        let names: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(names, [("temp", 24.8), ("out.hum", 61.2), ("t\"", -1000.0)]);
        assert_eq!(numbers("42"), [("value".to_owned(), 42.0)]);
        assert_eq!(numbers("[1,2]"), []);
        assert_eq!(numbers("\"42\""), []);
    }

    #[test]
    fn one_line_has_air_and_ends() {
        assert_eq!(
            text(&one_line(r#"{"a":1,"b":[1,2],"c":{},"d":[]}"#)),
            r#"{ "a": 1, "b": [1, 2], "c": {}, "d": [] }"#
        );
        let long = format!("[{}1]", "1,".repeat(5000));
        assert!(text(&one_line(&long)).ends_with('…'));
        assert!(text(&one_line(&format!("\"{}\"", "가".repeat(5000)))).chars().count() < 300);
    }

    #[test]
    fn several_lines_are_indented() {
        let expected = "{\n  \"a\": 24.60,\n  \"b\": [\n    1\n  ],\n  \"c\": {}\n}";
        assert_eq!(text(&several_lines(r#"{"a":24.60,"b":[1],"c":{}}"#)), expected);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(keys in proptest::collection::vec("[a-z{}\\[\\],:\\\\\" ]{0,6}", 0..4), n in any::<i32>()) {
            let object: serde_json::Map<_, _> =
                keys.into_iter().map(|key| (key.clone(), serde_json::json!([n, key, {"x": n}, []]))).collect();
            let value = serde_json::Value::Object(object);
            let pretty = text(&several_lines(&value.to_string()));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&pretty).unwrap(), value.clone());
            let line = text(&one_line(&value.to_string()));
            if !line.ends_with('…') {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = (numbers(&text), one_line(&text), several_lines(&text));
        }
    }
}
