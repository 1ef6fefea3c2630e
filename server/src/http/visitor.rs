//! Who it is: a signed cookie with an opaque id and a name. A request without one is a program.

use super::{App, HttpError, negotiate::Asked, peer::Peer, publish::read_form};
use app::wire::{Kind, Sender, sender_name};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

const COOKIE: &str = "baro";
const YEAR_SECONDS: u32 = 31_536_000;
/// Bytes of a name in a cookie: four per character.
const COOKIE_BYTES: usize = 512;

/// Somebody with a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Opaque, random.
    pub id: String,
    /// What they call themselves.
    pub name: String,
}

impl Visitor {
    /// As the sender of a message.
    pub fn sender(&self) -> Sender {
        Sender { id: self.id.clone(), name: self.name.clone(), kind: Kind::Person }
    }
}

/// Signs and reads the visitor cookie.
pub struct Visitors {
    /// Knows the secret: taking a key in is half the work of a short text's code.
    mac: Hmac<Sha256>,
}

impl Visitors {
    /// With this secret, of any length.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self { mac: Hmac::new_from_slice(secret.as_ref()).expect("a key of any length is one") }
    }

    /// The secret kept in the data folder, made at the first start, readable by its owner only.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn from_folder(folder: &Path) -> io::Result<Self> {
        let path = folder.join("cookie-secret");
        match fs::read(&path) {
            Ok(secret) if !secret.is_empty() => Ok(Self::new(secret)),
            _ => {
                let mut random = [0u8; 32];
                getrandom::fill(&mut random).map_err(io::Error::other)?;
                let secret = BASE64_URL_SAFE_NO_PAD.encode(random);
                fs::create_dir_all(folder)?;
                let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
                file.write_all(secret.as_bytes())?;
                file.sync_all()?;
                Ok(Self::new(secret))
            }
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// The visitor of a request; a cookie that is forged or of another server is none.
    pub fn read(&self, headers: &HeaderMap) -> Option<Visitor> {
        let value = super::negotiate::cookie(headers, COOKIE)?;
        if value.len() > COOKIE_BYTES {
            return None;
        }
        let (id, rest) = value.split_once('.')?;
        let (name, signature) = rest.split_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(&[b"visitor", id.as_bytes(), name.as_bytes()]).verify_slice(&signature).ok()?;
        let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        Some(Visitor { id: id.to_owned(), name })
    }

    /// A visitor who comes for the first time.
    pub fn fresh(&self, lang: app::page::Lang) -> Visitor {
        let number = getrandom::u64().expect("the system has random numbers");
        let word = match lang {
            app::page::Lang::Ko => "손님",
            app::page::Lang::En => "Guest",
        };
        Visitor { id: format!("v{}", base36(number)), name: format!("{word} {}", 1000 + number % 9000) }
    }

    /// The cookie that makes a browser this visitor.
    pub fn cookie(&self, visitor: &Visitor) -> HeaderValue {
        let name = BASE64_URL_SAFE_NO_PAD.encode(&visitor.name);
        let mac = self.mac(&[b"visitor", visitor.id.as_bytes(), name.as_bytes()]).finalize().into_bytes();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(mac);
        let id = &visitor.id;
        let cookie =
            format!("{COOKIE}={id}.{name}.{signature}; Path=/; Max-Age={YEAR_SECONDS}; HttpOnly; SameSite=Lax");
        HeaderValue::from_str(&cookie).expect("base64 and base 36 are header text")
    }

    /// A program: the same name from the same address has the same id, which tells nothing of the address.
    pub fn program(&self, peer: Peer, name: String) -> Sender {
        let address = peer.address.to_string();
        let mac = self.mac(&[b"program", address.as_bytes(), name.as_bytes()]).finalize().into_bytes();
        let bits = mac.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        Sender { id: format!("p{}", base36(bits % 36u64.pow(6))), name, kind: Kind::Program }
    }
}

fn base36(mut number: u64) -> String {
    let mut text = String::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        text.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return text;
        }
    }
}

/// `POST /name`: a form with `name` and `back`.
pub(super) async fn name(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let (asked, request) = Asked::take(&app, request);
    let form = read_form(&app, &asked, request).await?;
    let name = sender_name(form.get("name").map_or("", String::as_str))?;
    let visitor = Visitor { name, ..asked.visitor.unwrap_or_else(|| app.visitors.fresh(app::page::Lang::En)) };
    Ok(([(header::SET_COOKIE, app.visitors.cookie(&visitor))], back(&form)).into_response())
}

/// `POST /lang`: a form with `lang` and `back`.
pub(super) async fn lang(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let (asked, request) = Asked::take(&app, request);
    let form = read_form(&app, &asked, request).await?;
    let lang = if form.get("lang").is_some_and(|lang| lang == "ko") { "ko" } else { "en" };
    let cookie = format!("lang={lang}; Path=/; Max-Age={YEAR_SECONDS}; SameSite=Lax");
    Ok(([(header::SET_COOKIE, cookie)], back(&form)).into_response())
}

/// Back to where the form was, on this server only.
fn back(form: &std::collections::HashMap<String, String>) -> Redirect {
    let path = form.get("back").map_or("/", String::as_str);
    let ours =
        path.starts_with('/') && !path.starts_with("//") && path.is_ascii() && !path.contains(['\\', '\r', '\n']);
    Redirect::to(if ours { path } else { "/" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        headers
    }

    #[test]
    fn only_our_own_signature_makes_a_visitor() {
        let visitors = Visitors::new("x");
        let visitor = Visitor { id: "v1".into(), name: "윤태호".into() };
        let cookie = visitors.cookie(&visitor).to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(visitors.read(&headers(&format!("a=b; {cookie}"))), Some(visitor));
        assert_eq!(Visitors::new("y").read(&headers(&cookie)), None);
        assert_eq!(visitors.read(&headers(&cookie.replace("v1", "v2"))), None);
        for nonsense in ["baro=", "baro=..", "baro=a.b.c", "other=1"] {
            assert_eq!(visitors.read(&headers(nonsense)), None);
        }
    }

    #[test]
    fn programs_keep_their_id() {
        let visitors = Visitors::new("x");
        let one = visitors.program(Peer::default(), "esp32".into());
        assert_eq!(one, visitors.program(Peer::default(), "esp32".into()));
        assert_ne!(one.id, visitors.program(Peer::default(), "esp33".into()).id);
    }
}
