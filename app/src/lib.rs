//! The code that Baro's server and its page share. It compiles for both, so it uses no sockets, no store and no tokio.
//!
//! - [`wire`]: the protocol: names, messages, frames, errors and limits.
//! - [`page`]: the data that the server renders a page from.
//! - [`live`]: the interface between the page and its connection.
//! - [`feed`] and [`chart`]: pure functions that turn messages into rows and charts.
//! - [`i18n`]: every sentence of the page, in English and Korean.
//! - [`pages`] and [`components`]: the screens and their parts.

pub mod chart;
pub mod components;
pub mod feed;
pub mod i18n;
pub mod live;
pub mod page;
pub mod pages;
pub mod wire;

pub use pages::{App, Shell};
