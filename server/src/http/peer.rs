//! Where a request comes from: the connection's other end or, behind a proxy that is trusted, whom it names.

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// It came over TLS.
    pub secure: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), secure: false }
    }
}

/// An address or a network whose word is taken (`--trusted-proxy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted(IpNet);

/// Neither an address nor a network.
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

/// Entries of `X-Forwarded-For` that are looked at.
const HOPS: usize = 32;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Peer {
    /// Of a request on a connection from `address`. Anybody can write the headers: they count as far as those who added to
    /// them are trusted, from the last one back.
    pub(super) fn of(address: IpAddr, headers: &HeaderMap, trusted: &[Trusted]) -> Self {
        let address = address.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|Trusted(network)| network.contains(&address));
        if trusted.is_empty() || !is_trusted(address) {
            return Self { address, secure: false };
        }
        let last = |name: &HeaderName| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).next_back();
        // A proxy that sends it sends one; of several, the last is nearest to us.
        let secure = last(&FORWARDED_PROTO)
            .and_then(|protos| protos.rsplit(',').next())
            .is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
        let mut client = address;
        let lines: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS) {
            let Some(address) = hop_address(hop.trim()) else { break };
            client = address;
            if !is_trusted(client) {
                break;
            }
        }
        Self { address: client, secure }
    }
}

/// With a port, or without.
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
        // What the client wrote itself stands before what our proxy added.
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
