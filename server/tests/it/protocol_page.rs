//! Tests that PROTOCOL.md is true: the server answers its examples as the page says, and it lists every error code.

use super::support::Baro;
use serde_json::Value;

const PAGE: &str = include_str!("../../../PROTOCOL.md");

/// The contents of all fenced code blocks in this language.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    PAGE.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Asserts that two JSON values have the same keys, and the same values except those that differ in every run.
fn same_shape(expected: &Value, got: &Value, path: &str) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(expected), keys(got), "{path}");
            for (key, value) in expected {
                let volatile = ["id", "prev", "last", "time", "cursor", "message"].contains(&key.as_str());
                if !volatile || value.is_object() {
                    same_shape(value, &got[key], &format!("{path}.{key}"));
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            assert_eq!(expected.len(), got.len(), "{path}");
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                same_shape(expected, got, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(expected, got, "{path}"),
    }
}

/// An `http` block is a request (`POST /c/demo`, headers, `> body`), an empty line, and the answer (`201` and JSON).
#[tokio::test]
async fn the_examples_are_true() {
    let baro = Baro::start().await;
    let blocks = blocks("http");
    assert!(blocks.len() >= 5, "the page has examples");
    for block in blocks {
        let (request, answer) = block.split_once("\n\n").expect("a request, an empty line, an answer");
        let mut lines = request.lines();
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut call = baro.client.request(method.parse().unwrap(), baro.url(path)).header("user-agent", "curl/8");
        for line in lines {
            call = match line.strip_prefix("> ") {
                Some(body) => call.body(body),
                None => {
                    let (name, value) = line.split_once(": ").unwrap();
                    call.header(name, value)
                }
            };
        }
        let (status, body) = answer.split_once('\n').unwrap();
        let response = call.send().await.unwrap();
        assert_eq!(response.status().as_str(), status.trim(), "{block}");
        let got: Value = response.json().await.unwrap();
        same_shape(&serde_json::from_str(body.trim()).unwrap(), &got, request);
    }
}

#[test]
fn every_error_code_is_listed() {
    for code in [
        "bad-channel",
        "bad-cursor",
        "bad-parameter",
        "bad-body",
        "bad-key",
        "bad-frame",
        "too-many-channels",
        "forbidden-origin",
        "forbidden-host",
        "not-found",
        "method-not-allowed",
        "timeout",
        "precondition-failed",
        "too-large",
        "unsupported-charset",
        "key-conflict",
        "internal",
        "unavailable",
        "unknown",
        "store-full",
    ] {
        assert!(PAGE.contains(&format!("`{code}`")), "{code}");
    }
}
