//! Visitors and programs: a signed cookie holds the id and the name of a visitor. A request without the cookie comes
//! from a program.

use super::{
    notice::{YEAR_SECONDS, set_cookie},
    peer::Peer,
    seal::{Age, Seal},
};
use crate::{http::headers, limits::VISITOR_COOKIE_BYTES};
use app::{
    page::Lang,
    wire::{Kind, Sender},
};
use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

const COOKIE: &str = "baro";
/// A person with a visitor cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// An opaque random id.
    pub id: String,
    /// The name that others see.
    pub name: String,
}

impl Visitor {
    /// The visitor as the sender of a message.
    pub fn sender(&self) -> Sender {
        Sender { id: self.id.clone(), name: self.name.clone(), kind: Kind::Person }
    }
}

/// Who sent a request. On connections that stay open it outlives the request.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The visitor, if there is one.
    pub visitor: Option<Visitor>,
    /// Whether the visitor cookie is present and sealed with the current secret.
    pub has_current_cookie: bool,
    /// Where the request comes from.
    pub peer: Peer,
    /// The name of a program that gives none: the product in its `User-Agent`.
    product: String,
}

impl Who {
    /// Reads the headers of a request.
    pub(crate) fn of(visitors: &Visitors, peer: Peer, headers: &HeaderMap) -> Self {
        let (visitor, has_current_cookie) = match visitors.read(headers) {
            Known::Nobody => (None, false),
            Known::Visitor(visitor, age) => (Some(visitor), age == Age::Current),
            Known::Foreign => {
                tracing::info!(client = %peer.address, "a visitor's cookie that is not ours: a first visit");
                (None, false)
            }
        };
        Self { visitor, has_current_cookie, peer, product: headers::product(headers) }
    }

    /// The sender of a message. It is a program if the request gives a `name` (`from=` or `From-Name`) or has no
    /// cookie.
    pub(crate) fn sender(&self, visitors: &Visitors, name: Option<String>) -> Sender {
        match (&self.visitor, name) {
            (Some(visitor), None) => visitor.sender(),
            (_, name) => visitors.program(self.peer, name.unwrap_or_else(|| self.product.clone())),
        }
    }
}

/// What a request's cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// There is no cookie.
    Nobody,
    /// A visitor. A cookie that is sealed with an old secret is to be renewed.
    Visitor(Visitor, Age),
    /// The cookie is forged or comes from another server.
    Foreign,
}

/// Signs and reads the visitor cookie.
pub struct Visitors(Seal);

impl Visitors {
    /// Uses this seal.
    pub fn new(seal: Seal) -> Self {
        Self(seal)
    }

    /// The seal of the visitor cookie.
    pub fn seal(&self) -> &Seal {
        &self.0
    }

    fn read(&self, headers: &HeaderMap) -> Known {
        match headers::cookie(headers, COOKIE) {
            None => Known::Nobody,
            Some(value) => self.parse(value).map_or(Known::Foreign, |(visitor, age)| Known::Visitor(visitor, age)),
        }
    }

    fn parse(&self, value: &str) -> Option<(Visitor, Age)> {
        if value.len() > VISITOR_COOKIE_BYTES {
            return None;
        }
        let (id, rest) = value.split_once('.')?;
        let (name, signature) = rest.split_once('.')?;
        let age = self.0.verify(&[b"visitor", id.as_bytes(), name.as_bytes()], signature)?;
        let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        Some((Visitor { id: id.to_owned(), name }, age))
    }

    /// A new visitor with a random id and name.
    pub fn fresh(&self, lang: Lang) -> Visitor {
        let number = getrandom::u64().expect("the system has random numbers");
        let word = match lang {
            Lang::Ko => "손님",
            Lang::En => "Guest",
        };
        Visitor { id: format!("v{}", base36(number)), name: format!("{word} {}", 1000 + number % 9000) }
    }

    /// The cookie that makes a browser this visitor.
    pub fn cookie(&self, visitor: &Visitor, peer: Peer) -> HeaderValue {
        let name = BASE64_URL_SAFE_NO_PAD.encode(&visitor.name);
        let id = &visitor.id;
        let signature = self.0.sign(&[b"visitor", id.as_bytes(), name.as_bytes()]);
        let cookie = set_cookie(COOKIE, &format!("{id}.{name}.{signature}"), YEAR_SECONDS, true, peer);
        HeaderValue::from_str(&cookie).expect("base64 and base 36 are header text")
    }

    /// A program as the sender of a message. The same name from the same address has the same id, which does not reveal
    /// the address.
    pub fn program(&self, peer: Peer, name: String) -> Sender {
        let address = peer.address.to_string();
        let number = self.0.number(&[b"program", address.as_bytes(), name.as_bytes()]);
        Sender { id: format!("p{}", base36(number % 36u64.pow(6))), name, kind: Kind::Program }
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        headers
    }

    fn visitors(secret: &str, old: &[&str]) -> Visitors {
        let old: Vec<String> = old.iter().map(|&secret| secret.into()).collect();
        Visitors::new(Seal::new(secret, &old))
    }

    #[test]
    fn only_our_own_signature_makes_a_visitor() {
        let x = visitors("x", &[]);
        let visitor = Visitor { id: "v1".into(), name: "윤태호".into() };
        let cookie = x.cookie(&visitor, Peer::default()).to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(x.read(&headers(&format!("a=b; {cookie}"))), Known::Visitor(visitor.clone(), Age::Current));
        assert_eq!(visitors("y", &[]).read(&headers(&cookie)), Known::Foreign);
        assert_eq!(visitors("y", &["z", "x"]).read(&headers(&cookie)), Known::Visitor(visitor, Age::Old));
        assert_eq!(x.read(&headers(&cookie.replace("v1", "v2"))), Known::Foreign);
        for nonsense in ["baro=", "baro=..", "baro=a.b.c"] {
            assert_eq!(x.read(&headers(nonsense)), Known::Foreign);
        }
        assert_eq!(x.read(&headers("other=1")), Known::Nobody);
    }

    #[test]
    fn programs_keep_their_id() {
        let visitors = visitors("x", &[]);
        let one = visitors.program(Peer::default(), "esp32".into());
        assert_eq!(one, visitors.program(Peer::default(), "esp32".into()));
        assert_ne!(one.id, visitors.program(Peer::default(), "esp33".into()).id);
    }
}
