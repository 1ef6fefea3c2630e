//! The rooms and their arrows, as ARCHITECTURE.md draws them: read from the `use` lines.

use std::{fs, path::Path};

/// Each room with the rooms it may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("server/src/engine", &["engine", "limits", "clock", "map"]),
    ("server/src/hub", &["engine", "hub", "limits", "clock", "map"]),
    ("server/src/session", &["engine", "hub", "session", "limits"]),
    ("server/src/transport", &["engine", "hub", "session", "transport", "limits", "clock"]),
];

/// Crates a place must not name: what a room must not know.
const UNKNOWN: &[(&str, &[&str])] = &[
    ("app/src", &["tokio", "axum", "rusqlite", "hyper", "server", "frontend"]),
    ("app/src/wire", &["leptos", "web_sys", "crate::page", "crate::live", "crate::pages", "crate::components"]),
    ("server/src/engine", &["axum", "hyper", "http", "leptos"]),
    ("server/src/hub", &["axum", "hyper", "http", "rusqlite", "leptos"]),
    ("server/src/session", &["axum", "hyper", "rusqlite", "leptos"]),
    ("server/src/transport", &["rusqlite", "leptos"]),
    ("frontend/src/machine", &["web_sys", "js_sys", "gloo_net", "wasm_bindgen"]),
];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn in_folder(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// The paths a source names in its `use` lines, nested braces spelled out one level: `crate::{a::B, c}`.
fn named(source: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for statement in source.split("use ").skip(1) {
        let statement: String = statement.split(';').next().unwrap_or_default().split_whitespace().collect();
        match statement.split_once("::{") {
            Some((root, inner)) => {
                let inner = inner.strip_suffix('}').unwrap_or(inner);
                let mut depth = 0;
                let mut start = 0;
                for (at, c) in inner.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            paths.push(format!("{root}::{}", &inner[start..at]));
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
                paths.push(format!("{root}::{}", &inner[start..]));
            }
            None => paths.push(statement),
        }
    }
    paths.retain(|path| !path.ends_with("::"));
    paths
}

#[test]
fn rooms_know_only_the_rooms_before_them() {
    for (room, allowed) in ROOMS {
        for (file, source) in in_folder(room) {
            for path in named(&source).iter().filter_map(|path| path.strip_prefix("crate::")) {
                let target = path.split("::").next().unwrap();
                assert!(allowed.contains(&target), "{file} names crate::{target}; {room} may know {allowed:?}");
            }
        }
    }
}

#[test]
fn nobody_knows_what_is_not_theirs() {
    for (place, unknown) in UNKNOWN {
        for (file, source) in in_folder(place) {
            for path in named(&source) {
                for name in *unknown {
                    let names_it = path == *name || path.starts_with(&format!("{name}::"));
                    assert!(!names_it, "{file} names {path}, which {place} must not know");
                }
            }
        }
    }
}

#[test]
fn the_reader_of_arrows_sees_them() {
    let paths = named("use crate::{engine::{A, B}, http::C};\nuse axum::Router;\n");
    assert_eq!(paths.iter().filter(|path| path.starts_with("crate::http")).count(), 1, "{paths:?}");
    assert!(paths.contains(&"axum::Router".to_owned()));
}
