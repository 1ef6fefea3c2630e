//! Who it is: a signed cookie with an opaque id and a name. A request without one is a program.

use super::{
    App, HttpError,
    negotiate::Asked,
    notice::{Notice, set_cookie},
    peer::Peer,
    publish::read_form,
    seal::{Age, Seal},
};
use app::wire::{Kind, Sender, sender_name};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

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
pub struct Visitors(Seal);

/// Who a cookie says a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is none.
    Nobody,
    /// A visitor; a cookie under an old secret is to be renewed.
    Visitor(Visitor, Age),
    /// The cookie is forged, or of another server.
    Foreign,
}

impl Visitors {
    /// With this seal.
    pub fn new(seal: Seal) -> Self {
        Self(seal)
    }

    /// The seal.
    pub fn seal(&self) -> &Seal {
        &self.0
    }

    /// The visitor of a request.
    pub fn read(&self, headers: &HeaderMap) -> Known {
        match super::negotiate::cookie(headers, COOKIE) {
            None => Known::Nobody,
            Some(value) => self.parse(value).map_or(Known::Foreign, |(visitor, age)| Known::Visitor(visitor, age)),
        }
    }

    fn parse(&self, value: &str) -> Option<(Visitor, Age)> {
        if value.len() > COOKIE_BYTES {
            return None;
        }
        let (id, rest) = value.split_once('.')?;
        let (name, signature) = rest.split_once('.')?;
        let age = self.0.verify(&[b"visitor", id.as_bytes(), name.as_bytes()], signature)?;
        let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        Some((Visitor { id: id.to_owned(), name }, age))
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
    pub fn cookie(&self, visitor: &Visitor, peer: Peer) -> HeaderValue {
        let name = BASE64_URL_SAFE_NO_PAD.encode(&visitor.name);
        let id = &visitor.id;
        let signature = self.0.sign(&[b"visitor", id.as_bytes(), name.as_bytes()]);
        let cookie = set_cookie(COOKIE, &format!("{id}.{name}.{signature}"), YEAR_SECONDS, true, peer);
        HeaderValue::from_str(&cookie).expect("base64 and base 36 are header text")
    }

    /// A program: the same name from the same address has the same id, which tells nothing of the address.
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

/// `POST /name`: a form with `name` and `back`. Always back: what it came to is told there.
pub(super) async fn name(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let (asked, request) = Asked::take(&app, request);
    let form = read_form(&app, &asked, request).await?;
    let mut response = back(&form).into_response();
    let notice = match sender_name(form.get("name").map_or("", String::as_str)) {
        Ok(name) => {
            let known = asked.visitor.unwrap_or_else(|| app.visitors.fresh(app::page::Lang::En));
            let cookie = app.visitors.cookie(&Visitor { name, ..known }, asked.peer);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Notice::NameSaved
        }
        Err(error) => Notice::NameRefused(error.message),
    };
    if let Some(cookie) = notice.cookie(app.visitors.seal(), asked.peer) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /lang`: a form with `lang` and `back`.
pub(super) async fn lang(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let (asked, request) = Asked::take(&app, request);
    let form = read_form(&app, &asked, request).await?;
    let lang = if form.get("lang").is_some_and(|lang| lang == "ko") { "ko" } else { "en" };
    let cookie = set_cookie("lang", lang, YEAR_SECONDS, false, asked.peer);
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
