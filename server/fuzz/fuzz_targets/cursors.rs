//! Fuzzes ids and epochs: each value has exactly one spelling.

#![no_main]

use fuzz::wire::{Epoch, Id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<Id>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::from_str::<Id>(&format!("\"{text}\"")).expect("an id in JSON"), id);
        assert!(i64::try_from(id.offset).is_ok(), "stores keep offsets as signed 64-bit numbers");
    }
    if let Ok(epoch) = text.parse::<Epoch>() {
        assert_eq!(epoch.to_string(), text);
    }
});
