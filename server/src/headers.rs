//! Header fields that are lists separated by commas (RFC 9110, section 5.6.1).

use http::{HeaderMap, HeaderName};

/// The items of a header, over all its lines in order. A line that is not ASCII is left out.
pub(crate) fn list_items<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.into_iter().flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether a header lists this item, in any case.
pub(crate) fn list_has(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    list_items(headers, name).any(|found| found.eq_ignore_ascii_case(item))
}
