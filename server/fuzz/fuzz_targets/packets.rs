//! Fuzzes Socket.IO packets: parsing a printed packet gives the same packet, and each argument becomes a body or an
//! error, without a panic.

#![no_main]

use fuzz::wire::{
    limits::ATTACHMENTS,
    socket_io::{Packet, argument_body},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(packet) = Packet::parse(text) else { return };
    assert!(packet.namespace.starts_with('/') && packet.attachments <= ATTACHMENTS);
    assert_eq!(Packet::parse(&packet.to_text()).expect("what is printed parses"), packet);
    let (_, arguments) = packet.event();
    let attachments = vec![vec![0xff]; packet.attachments];
    for argument in arguments {
        let _ = argument_body(argument, &attachments);
    }
});
