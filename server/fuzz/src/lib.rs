//! What parses the network as source, so that nothing else of `app` and `server` is built.

// The sources name `app`.
extern crate self as app;

#[path = "../../../app/src/wire/mod.rs"]
pub mod wire;

#[path = "../../src/transport/assembler.rs"]
pub mod assembler;

#[path = "../../src/http/direct/head.rs"]
pub mod head;
