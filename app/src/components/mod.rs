//! The parts of the screens, one to a file.

pub mod announcer;
pub mod bar;
pub mod bodies;
pub mod channel_list;
pub mod command_card;
pub mod composer;
pub mod dom;
pub mod feed_view;
pub mod glyph;
pub mod live_panel;
pub mod node;
pub mod open_card;
pub mod outgoing;
pub mod people;
pub mod pill;
pub mod plot_figure;
pub mod row;

use crate::{
    i18n::Words,
    live::Live,
    page::{Page, Screen},
    wire::{Sender, Time},
};
use leptos::prelude::*;
use std::sync::Arc;

/// What every part of a page needs to know.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The sentences.
    pub words: Words,
    /// The visitor who looks.
    pub visitor: Sender,
    /// Where the visitor really is.
    pub origin: Arc<str>,
    /// Minutes east of UTC: as rendered, then the reader's own as soon as the browser says so.
    pub zone: RwSignal<i16>,
    /// When the page was rendered.
    pub now: Time,
    /// The path of this page, to come back to after a form.
    pub back: Arc<str>,
    /// What the title names.
    pub subject: Option<Arc<str>>,
}

impl Surroundings {
    /// From what the server handed to the page.
    pub fn new(page: &Page) -> Self {
        let (back, subject) = match &page.screen {
            Screen::Channel(channel) => (channel.name.path(), Some(channel.name.as_str().into())),
            Screen::Home(_) | Screen::Problem(_) => ("/".to_owned(), None),
        };
        Self {
            words: Words(page.lang),
            visitor: page.visitor.clone(),
            origin: page.origin.as_str().into(),
            zone: RwSignal::new(page.zone),
            now: page.now,
            back: back.into(),
            subject,
        }
    }
}

/// What every part of a page needs to know, from the context.
pub fn surroundings() -> Arc<Surroundings> {
    expect_context()
}

/// The connection, from the context.
pub fn live() -> Live {
    expect_context()
}
