//! The small symbol that stands for the sender of a message.

use crate::{
    feed::initial,
    wire::{Kind, Sender},
};
use leptos::prelude::*;

/// Draws a sender: a circle for a person, a square for a program, filled with ink for the visitor.
pub fn node(from: &Sender, own: bool) -> impl IntoView + use<> {
    let class = match (from.kind, own) {
        (Kind::Person, true) => "node own",
        (Kind::Person, false) => "node",
        (Kind::Program, _) => "node program",
    };
    let inside = match from.kind {
        Kind::Person => initial(&from.name),
        Kind::Program => "≡".to_owned(),
    };
    view! {
        <span class=class aria-hidden="true">
            {inside}
        </span>
    }
}
