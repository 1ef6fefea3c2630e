//! Includes the parsers of network input as source files, so that nothing else of `app` and `server` is built.

// The included sources refer to the crate `app`.
extern crate self as app;

#[path = "../../../app/src/wire/mod.rs"]
pub mod wire;

#[path = "../../src/transport/websocket/assembler.rs"]
pub mod assembler;

#[path = "../../src/http/fast/head.rs"]
pub mod head;

#[path = "../../src/http/fast/template.rs"]
pub mod template;
