//! Where a request comes from: the peer of the connection or, behind a trusted proxy, the client that the proxy names.

use crate::{headers::list_items, limits::FORWARDED_HOPS};
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the client.
    pub address: IpAddr,
    /// Whether the request came over TLS.
    pub secure: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), secure: false }
    }
}

/// An address or a network whose forwarding headers are trusted (`--trusted-proxy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted(IpNet);

/// A text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address such as 127.0.0.1, or a network such as 10.0.0.0/8")]
pub struct NoNetwork;

impl FromStr for Trusted {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let text = text.trim();
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map(Self).map_err(|_| NoNetwork)
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Peer {
    /// The peer of a request on a connection from `address`. Anyone can write the headers, so an entry counts only if
    /// everyone who added a later entry is trusted.
    pub fn of(address: IpAddr, headers: &HeaderMap, trusted: &[Trusted]) -> Self {
        let address = address.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|Trusted(network)| network.contains(&address));
        if trusted.is_empty() || !is_trusted(address) {
            return Self { address, secure: false };
        }
        // A proxy adds at most one value. The last one comes from the proxy nearest to this server.
        let secure =
            list_items(headers, &FORWARDED_PROTO).next_back().is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        let mut client = address;
        for hop in list_items(headers, &FORWARDED_FOR).rev().take(FORWARDED_HOPS) {
            let Some(address) = hop_address(hop) else { break };
            client = address;
            if !is_trusted(client) {
                break;
            }
        }
        Self { address: client, secure }
    }
}

/// The address in an entry, with or without a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_matches(['[', ']']).parse::<IpAddr>();
    let address = bare.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(from: &str, forwarded: &[&str], proto: &str, trusted: &[&str]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        if !proto.is_empty() {
            headers.insert(FORWARDED_PROTO, proto.parse().unwrap());
        }
        let trusted: Vec<Trusted> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let Peer { address, secure } = Peer::of(from.parse().unwrap(), &headers, &trusted);
        (address.to_string(), secure)
    }

    #[test]
    fn headers_count_as_far_as_their_writers_are_trusted() {
        let at = |address: &str| (address.to_owned(), false);
        assert_eq!(peer("127.0.0.1", &["1.2.3.4"], "https", &[]), at("127.0.0.1"));
        assert_eq!(peer("9.9.9.9", &["1.2.3.4"], "https", &["127.0.0.1"]), at("9.9.9.9"));
        assert_eq!(peer("127.0.0.1", &["1.2.3.4"], "", &["127.0.0.1"]), at("1.2.3.4"));
        // Entries that the client wrote itself precede the entry that our proxy added.
        assert_eq!(peer("127.0.0.1", &["6.6.6.6, 1.2.3.4"], "", &["127.0.0.1"]), at("1.2.3.4"));
        assert_eq!(peer("10.0.0.1", &["1.2.3.4, 10.0.0.2"], "", &["10.0.0.0/8"]), at("1.2.3.4"));
        assert_eq!(peer("10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.0.0.2"], "", &["10.0.0.0/8"]), at("1.2.3.4"));
        assert_eq!(peer("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "", &["10.0.0.0/8"]), at("10.0.0.3"));
        assert_eq!(peer("10.0.0.1", &["nonsense, 10.0.0.2"], "", &["10.0.0.0/8"]), at("10.0.0.2"));
        assert_eq!(peer("::ffff:10.0.0.1", &["[2001:db8::1]:443"], "", &["10.0.0.0/8"]), at("2001:db8::1"));
        assert_eq!(peer("10.0.0.1", &["1.2.3.4:5678"], "", &["10.0.0.1"]), at("1.2.3.4"));
        assert_eq!(peer("10.0.0.1", &[], "", &["10.0.0.1"]), at("10.0.0.1"));
    }

    #[test]
    fn tls_is_what_a_trusted_proxy_says() {
        assert!(peer("127.0.0.1", &[], "https", &["127.0.0.1"]).1);
        assert!(peer("127.0.0.1", &[], "http, HTTPS", &["127.0.0.1"]).1);
        assert!(!peer("127.0.0.1", &[], "https, http", &["127.0.0.1"]).1);
        assert!(!peer("127.0.0.1", &[], "", &["127.0.0.1"]).1);
    }

    #[test]
    fn addresses_and_networks() {
        for text in ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(text.parse::<Trusted>().is_ok(), "{text}");
        }
        for text in ["", "localhost", "10.0.0.0/99", "1.2.3"] {
            assert_eq!(text.parse::<Trusted>(), Err(NoNetwork), "{text}");
        }
    }
}
