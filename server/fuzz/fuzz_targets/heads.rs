//! Heads of requests: what is answered directly is what the parser of hyper sees as well, to the byte.

#![no_main]

use bytes::Bytes;
use fuzz::head::{Fields, RequestLine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let received = Bytes::copy_from_slice(input);
    let Some(line) = RequestLine::read(&received) else { return };
    let fields = received.slice(line.end..);
    let Some(read) = Fields::read(&fields) else { return };

    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(end)) = request.parse(input) else { panic!("it is no request to hyper") };
    assert_eq!((request.method, request.version), (Some(line.method.as_str()), Some(1)));
    let target: http::Uri = request.path.unwrap().parse().unwrap();
    assert_eq!(target, line.uri);
    assert_eq!(request.headers.len(), read.headers.len());
    for header in &*request.headers {
        assert!(read.headers.get_all(header.name).iter().any(|value| value.as_bytes() == header.value));
    }

    // The same fields are recognised, and the body begins where the head ends.
    let Some((length, begin)) = read.are_in(&fields) else { return };
    assert_eq!(line.end + begin, end);
    let counted: Vec<_> = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("content-length")).collect();
    match counted[..] {
        [] => assert_eq!(length, 0),
        [count] => assert_eq!(std::str::from_utf8(count.value).unwrap().parse(), Ok(length)),
        _ => panic!("two lengths"),
    }
    assert!(!request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")));
});
