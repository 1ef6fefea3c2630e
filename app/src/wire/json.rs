//! Checks and compacts JSON text without changing its values.

use super::limits::JSON_DEPTH;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{cell::Cell, fmt};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Checks that a text is one JSON value that every client can parse: numbers are in range, surrogate pairs are
/// complete, and values nest at most [`JSON_DEPTH`] levels deep. It builds no value.
///
/// # Errors
/// Returns a description of the problem and its place, worded for the sender.
pub fn check_json(text: &str) -> Result<(), String> {
    DEPTH.set(0);
    serde_json::from_str::<Checked>(text).map(|_| ()).map_err(|error| error.to_string())
}

/// Removes the white space between the tokens of a valid JSON text, so that it fits on one line.
pub fn compact_json(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            out.push(c);
            (in_string, escaped) = match c {
                '\\' if !escaped => (true, true),
                '"' if !escaped => (false, false),
                _ => (true, false),
            };
        } else if !matches!(c, ' ' | '\n' | '\r' | '\t') {
            out.push(c);
            in_string = c == '"';
        }
    }
    out.into()
}

/// The result of checking a value: the value itself is discarded.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl Look {
    fn deeper<T, E: Error>(inner: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let depth = DEPTH.get() + 1;
        if depth > JSON_DEPTH {
            return Err(E::custom("nested deeper than 100 levels"));
        }
        DEPTH.set(depth);
        let result = inner();
        DEPTH.set(depth - 1);
        result
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Checked, A::Error> {
        Self::deeper(|| {
            while seq.next_element::<Checked>()?.is_some() {}
            Ok(Checked)
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
        Self::deeper(|| {
            while map.next_entry::<Checked, Checked>()?.is_some() {}
            Ok(Checked)
        })
    }
}

/// Whether a text begins like a JSON object. Needed because serde also accepts an array for a struct.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_no_reader_can_take_is_refused() {
        for text in ["", "{", "{} {}", "1e999", r#""\ud800""#, "nul", &"[".repeat(200_000)] {
            assert!(check_json(text).is_err(), "{}", &text[..text.len().min(20)]);
        }
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check_json(&deep(100)).is_ok());
        assert!(check_json(&deep(101)).is_err());
        assert!(check_json("[1]").is_ok(), "a refused text must not change the depth of the next one");
    }

    #[test]
    fn white_space_goes_only_between_tokens() {
        assert_eq!(compact_json("{ \"a b\" :\n [1, \"x\\\" y\"] }"), "{\"a b\":[1,\"x\\\" y\"]}");
        assert_eq!(compact_json("[1.00]"), "[1.00]");
    }

    proptest! {
        #[test]
        fn compact_keeps_the_value(value in "[a-z \\\\\"\n]{0,20}", number in any::<i32>()) {
            let json = serde_json::json!({"k": [value, number]});
            let pretty = serde_json::to_string_pretty(&json).unwrap();
            prop_assert_eq!(compact_json(&pretty), json.to_string());
        }
    }
}
