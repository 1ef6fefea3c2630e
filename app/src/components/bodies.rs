//! The views of message bodies: text, JSON and binary.

use super::{readings::Readings, surroundings};
use crate::{
    feed::{COLLAPSE_LINES, Piece, long_text, one_line, several_lines},
    wire::Body,
};
use leptos::prelude::*;

/// The most characters of a long text that are shown while it is collapsed.
const PREVIEW_CHARS: usize = 1000;

/// Draws the body of a message.
pub fn body_view(body: &Body) -> AnyView {
    let words = surroundings().words;
    match body {
        Body::Text(text) => match long_text(text) {
            Some(lines) => long(text, words.all_lines(lines), words.show_less()).into_any(),
            None => view! {
                <p class="text" dir="auto">
                    {text.clone()}
                </p>
            }
            .into_any(),
        },
        Body::Json(json) if json.trim_start().starts_with(['{', '[']) => {
            json_view(json, words.json_details()).into_any()
        }
        Body::Json(json) => view! {
            <p class="json-value">
                <code>{pieces(one_line(json))}</code>
            </p>
        }
        .into_any(),
        Body::Binary(bytes) => view! { <p class="binary">{words.binary(bytes.len())}</p> }.into_any(),
    }
}

fn long(text: &str, more: String, less: &'static str) -> impl IntoView {
    let preview: String = text.lines().take(COLLAPSE_LINES).flat_map(|line| [line, "\n"]).collect();
    let preview: String = preview.chars().take(PREVIEW_CHARS).collect();
    view! {
        <details class="long">
            <summary>
                <span class="text preview" dir="auto">
                    {preview}
                </span>
                <span class="more">{more}</span>
                <span class="less">{less}</span>
            </summary>
            <p class="text" dir="auto">
                {text.to_owned()}
            </p>
        </details>
    }
}

fn json_view(json: &str, details: &'static str) -> impl IntoView {
    view! {
        <details class="json">
            <summary title=details>
                <code class="one-line">{pieces(one_line(json))}</code>
            </summary>
            <pre>
                <code>{pieces(several_lines(json))}</code>
            </pre>
        </details>
    }
}

fn pieces(pieces: Vec<Piece>) -> impl IntoView {
    let series = use_context::<Readings>().map(|readings| readings.series);
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(text) => text.into_any(),
            Piece::Number { field, text } => {
                let class = move || series.and_then(|series| series.with(|series| series_class(series, &field)));
                view! { <span class=class>{text}</span> }.into_any()
            }
        })
        .collect_view()
}

/// The class that underlines a value in the colour of its series.
fn series_class(series: &[String], field: &str) -> Option<&'static str> {
    const CLASSES: [&str; 6] = ["tied s1", "tied s2", "tied s3", "tied s4", "tied s5", "tied s6"];
    let at = series.iter().position(|known| known == field)?;
    CLASSES.get(at).copied()
}

/// A body as short plain text, for the list of channels.
pub fn preview(body: &Body, binary: impl FnOnce(usize) -> String) -> String {
    match body {
        Body::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(240).collect(),
        Body::Json(json) => one_line(json)
            .into_iter()
            .map(|piece| match piece {
                Piece::Plain(text) | Piece::Number { text, .. } => text,
            })
            .collect(),
        Body::Binary(bytes) => binary(bytes.len()),
    }
}
