//! Seals: signatures of values that browsers keep and send back, so that nobody else can have written the values.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Seals with the current secret, and accepts seals of old secrets.
pub struct Seal {
    /// Keyed once, because setting the key is half the work of signing a short text.
    current: Hmac<Sha256>,
    /// Old secrets (`--old-cookie-secret`). Their seals are valid, and cookies with them are renewed.
    old: Vec<Hmac<Sha256>>,
}

/// Which secret a seal was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// The current secret.
    Current,
    /// An old secret.
    Old,
}

impl Seal {
    /// Uses these secrets, which may have any length.
    pub fn new(secret: impl AsRef<[u8]>, old: &[String]) -> Self {
        let key = |secret: &[u8]| Hmac::new_from_slice(secret).expect("a key of any length is one");
        let old = old.iter().filter(|secret| !secret.is_empty()).map(|secret| key(secret.as_bytes())).collect();
        Self { current: key(secret.as_ref()), old }
    }

    /// Uses the secret in the data folder. It is created at the first start, and only its owner can read it.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be read or written.
    pub fn from_folder(folder: &Path, old: &[String]) -> io::Result<Self> {
        let path = folder.join("cookie-secret");
        match fs::read(&path) {
            Ok(secret) if !secret.is_empty() => Ok(Self::new(secret, old)),
            _ => {
                let mut random = [0u8; 32];
                getrandom::fill(&mut random).map_err(io::Error::other)?;
                let secret = BASE64_URL_SAFE_NO_PAD.encode(random);
                fs::create_dir_all(folder)?;
                let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
                file.write_all(secret.as_bytes())?;
                file.sync_all()?;
                Ok(Self::new(secret, old))
            }
        }
    }

    /// The seal of these parts. The first part names the purpose, so that a seal for one purpose is not valid for
    /// another.
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(code(&self.current, parts).finalize().into_bytes())
    }

    /// Verifies a seal. Returns which secret made it, or `None` if it is not valid.
    pub fn verify(&self, parts: &[&[u8]], seal: &str) -> Option<Age> {
        let seal = BASE64_URL_SAFE_NO_PAD.decode(seal).ok()?;
        let holds = |key| code(key, parts).verify_slice(&seal).is_ok();
        if holds(&self.current) {
            return Some(Age::Current);
        }
        self.old.iter().any(holds).then_some(Age::Old)
    }

    /// A number derived from these parts, which reveals nothing about them.
    pub fn number(&self, parts: &[&[u8]]) -> u64 {
        let code = code(&self.current, parts).finalize().into_bytes();
        code.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

fn code(key: &Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_what_it_was_put_on_and_no_longer_than_its_secret() {
        let before = Seal::new("before", &[]);
        let seal = before.sign(&[b"a", b"bc"]);
        assert_eq!(before.verify(&[b"a", b"bc"], &seal), Some(Age::Current));
        assert_eq!(before.verify(&[b"ab", b"c"], &seal), None);
        assert_eq!(before.verify(&[b"a", b"bc"], "nonsense"), None);
        assert_eq!(Seal::new("after", &[]).verify(&[b"a", b"bc"], &seal), None);
        assert_eq!(Seal::new("after", &["before".into()]).verify(&[b"a", b"bc"], &seal), Some(Age::Old));
        // An empty option is not a secret, because everyone could seal with it.
        let empty = Seal::new("", &[]).sign(&[b"a"]);
        assert_eq!(Seal::new("after", &[String::new()]).verify(&[b"a"], &empty), None);
    }
}
