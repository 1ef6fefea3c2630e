//! Reading a request of the fast path: what it asks for, by the same functions as the handlers behind hyper.

use super::{
    super::{
        headers::accepts,
        params::{LAST_EVENT_ID, read_params},
        publish::PublishParams,
        router::channel_at,
        state::App,
        who::{Peer, Who},
    },
    head::Head,
    memo::{Action, LastRequest, Parsed, Shape},
    template::Template,
};
use crate::limits::{FAST_FIELDS, REMEMBERED_HEAD_BYTES};
use app::wire::{ReadParams, Representation, Start};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use bytes::Bytes;
use std::{net::IpAddr, ops::Range};

/// Reads a request that came whole. `None` if it is not plainly a publish or a poll: it is hyper's,
/// whatever is wrong with it.
pub(super) fn parse(app: &App, address: IpAddr, received: &Bytes) -> Option<Parsed> {
    let head = Head::read(received, FAST_FIELDS).filter(|head| head.end <= REMEMBERED_HEAD_BYTES)?;
    let body = head.body(received.len())?;
    // Errors of a request that accepts pages are pages.
    if accepts(&head.headers) == Representation::Html {
        return None;
    }
    let channel = channel_at(app, head.uri.path())?;
    let params = read_params(&head.uri, &head.headers).ok()?;
    let origin = app.origins.check(&head.method, &head.uri, &head.headers, false).ok()?;
    let peer = Peer::of(address, &head.headers, &app.trusted);
    let who = Who::of(&app.visitors, peer, &head.headers);
    let differs = differs(&head, &params);
    let action = if head.method == Method::POST {
        Action::Publish(PublishParams::read(app, &who, &head.headers, params.from.clone()).ok()?)
    } else if body.is_empty() && is_json(&params, &head.headers) {
        Action::Read(who.sender(&app.visitors, params.from.clone()))
    } else {
        return None;
    };
    let template = differs.map(|differs| Template::new(&received[..head.end], differs));
    // Copied: a slice would keep all that was received.
    let origin = origin.and_then(|origin| HeaderValue::from_bytes(origin.as_bytes()).ok());
    let (method, path) = (head.method, head.uri.path().into());
    // The shape that the connections share has the cursor of another one.
    let shape = Shape { method, path, channel, params: params.clone(), template };
    Some(Parsed { request: Box::new(LastRequest::new(shape, action, origin, peer)), params, body })
}

fn is_json(params: &ReadParams, headers: &HeaderMap) -> bool {
    params.representation.unwrap_or_else(|| accepts(headers)) == Representation::Json
}

/// Where the head differs when the request comes again: in the length of the body, or in the cursor. A page's request
/// (`Origin`) is read each time.
fn differs(head: &Head, params: &ReadParams) -> Option<Range<usize>> {
    if head.headers.contains_key(header::ORIGIN) {
        return None;
    }
    if head.method == Method::POST {
        return head.length.clone().map(|(_, place)| place);
    }
    cursor(&head.uri, params).filter(|_| !head.headers.contains_key(LAST_EVENT_ID))
}

/// Where the head of a poll has its cursor, if nothing of its query has to be decoded.
fn cursor(uri: &Uri, params: &ReadParams) -> Option<Range<usize>> {
    let query = uri.query().filter(|query| !query.contains(['%', '+']))?;
    let mut begin = "GET ".len() + uri.path().len() + "?".len();
    for pair in query.split('&') {
        let end = begin + pair.len();
        if let Some(value) = pair.strip_prefix("after=") {
            let is_it = value.parse().is_ok_and(|id| params.start == Some(Start::After(id)));
            return is_it.then(|| end - value.len()..end);
        }
        begin = end + "&".len();
    }
    None
}
