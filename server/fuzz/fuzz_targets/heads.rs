//! Fuzzes request heads: the fast path must read a head exactly as hyper's parser (httparse) does. A head that fits the
//! template of another head must be the same head with a different length.

#![no_main]

use bytes::Bytes;
use fuzz::{head::Head, template::Template};
use libfuzzer_sys::fuzz_target;

/// The largest number of header fields that the fast path accepts.
const FIELDS: usize = 32;

fuzz_target!(|input: &[u8]| {
    let received = Bytes::copy_from_slice(input);
    let Some(head) = Head::read(&received, FIELDS) else { return };

    let mut headers = [httparse::EMPTY_HEADER; 2 * FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(end)) = request.parse(input) else { panic!("hyper rejects the head") };
    assert_eq!((request.method, request.version), (Some(head.method.as_str()), Some(1)));
    let target: http::Uri = request.path.unwrap().parse().unwrap();
    assert_eq!(target, head.uri);
    assert_eq!(request.headers.len(), head.headers.len());
    for header in &*request.headers {
        assert!(head.headers.get_all(header.name).iter().any(|value| value.as_bytes() == header.value));
    }

    // Both parsers must agree on where the body begins, and on its length.
    assert_eq!(head.end, end);
    let counted: Vec<_> = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("content-length")).collect();
    match (&counted[..], &head.length) {
        ([], None) => {}
        ([count], Some((length, place))) => {
            assert_eq!(std::str::from_utf8(count.value).unwrap().parse(), Ok(*length));
            assert_eq!(&input[place.clone()], count.value);
        }
        _ => panic!("the parsers disagree on the length"),
    }
    assert!(!request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")));

    // The same head with a different length must fit the template.
    let Some((_, place)) = head.length else { return };
    let template = Template::new(&input[..end], place.clone());
    let other = [&input[..place.start], b"77", &input[place.end..]].concat();
    let fit = template.fit(&other).expect("only the length differs");
    let again = Head::read(&Bytes::copy_from_slice(&other), FIELDS).expect("the fast path reads the changed head");
    assert_eq!((fit.value, fit.end), ("77", again.end));
    assert_eq!(again.length.map(|(length, _)| length), Some(77));
    assert_eq!((again.method, again.uri), (head.method, head.uri));
});
