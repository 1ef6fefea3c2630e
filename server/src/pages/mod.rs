//! The pages, rendered by Leptos on the server. They take plain values and know nothing about HTTP requests.
//!
//! - [`snapshot`]: the initial content of a channel's page. [`render`]: a page as a response. [`assets`]: the files
//!   that pages load, which are part of the binary.

mod assets;
mod render;
mod snapshot;

pub use assets::{asset, favicon, socket_io_client};
pub use render::{Renderer, Viewer};
pub use snapshot::channel;
