//! The wire module as source, so that nothing else of `app` is built.

#[path = "../../../app/src/wire/mod.rs"]
pub mod wire;
