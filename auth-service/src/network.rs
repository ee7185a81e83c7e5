//! Where a call comes from, as far as the service can know.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use tonic::{
    Request,
    metadata::{MetadataMap, MetadataValue},
};

/// What a proxy adds the address of its client to, at the end.
const FORWARDED: &str = "x-forwarded-for";
/// How much of an IPv6 address is the network: whoever has one address there has them all.
const IPV6_NETWORK: usize = 8;
/// How many leading bits make an IPv6 address one of IPv4.
const MAPPED: u8 = 96;

/// A network whose users can not be told apart: an IPv4 address, or the first half of one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// The proxies that are believed when they say whose call they forward.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// What is wrong with a list of proxies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("has {0:?}: must be addresses and networks separated by commas, as 192.0.2.1,10.0.0.0/8")]
pub struct ProxyFault(String);

impl Network {
    /// The network of an address. One of IPv4 in the clothes of IPv6 is what it is.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The bytes that tell networks apart; no two networks have the same.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().into_iter().take(IPV6_NETWORK).collect(),
        }
    }
}

impl TrustedProxies {
    /// The network that a call comes from. That is the peer's, unless the peer is a trusted proxy:
    /// then it is that of the last address in `x-forwarded-for` that is no trusted proxy itself.
    /// What is left of that address was there before, and anybody can have written it.
    #[must_use]
    pub fn network_of<T>(&self, request: &Request<T>) -> Network {
        let peer = request.remote_addr().map(|peer| peer.ip());
        // The shell gives each call its peer. If it did not, all would share one network.
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Network::of(self.client(peer, request.metadata()))
    }

    fn client(&self, peer: IpAddr, metadata: &MetadataMap) -> IpAddr {
        let headers: Vec<&[u8]> =
            metadata.get_all(FORWARDED).iter().map(MetadataValue::as_encoded_bytes).collect();
        let last_first = headers.into_iter().rev().flat_map(|value| value.rsplit(|b| *b == b','));
        let mut client = peer.to_canonical();
        for entry in last_first {
            if !self.contains(client) {
                break;
            }
            // A trusted proxy that says nothing readable of its client stands for it.
            let Some(before) = address(entry) else { break };
            client = before;
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|proxies| proxies.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = ProxyFault;

    fn from_str(text: &str) -> Result<Self, ProxyFault> {
        let proxies = text.split(',').map(str::trim);
        let parse = |entry: &str| network(entry).ok_or_else(|| ProxyFault(entry.to_owned()));
        proxies.map(parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Reads an address, or a network with the length of its prefix.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network: IpNet = text.parse().ok()?;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED)) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, length).ok().map(IpNet::V4)
        }
        _ => Some(network),
    }
}

/// Reads an address as proxies write it: with a port or without, one of IPv6 in brackets or bare.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use tonic::{metadata::AsciiMetadataValue, transport::server::TcpConnectInfo};

    use super::*;

    /// The network of a call from this peer with these headers.
    fn seen(trusted: &str, peer: &str, forwarded: &[&[u8]]) -> Network {
        let proxies = match trusted {
            "" => TrustedProxies::default(),
            list => list.parse().unwrap(),
        };
        let mut request = Request::new(());
        let remote_addr = Some(SocketAddr::new(peer.parse().unwrap(), 1));
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        for value in forwarded {
            let value = AsciiMetadataValue::try_from(*value).unwrap();
            request.metadata_mut().append(FORWARDED, value);
        }
        proxies.network_of(&request)
    }

    fn network_of(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_speaks_for_itself() {
        for trusted in ["", "10.0.0.1", "10.0.0.0/8,2001:db8::/32"] {
            for forwarded in [[b"1.2.3.4".as_slice()], [b"1.2.3.4, 10.0.0.1"], [b"10.0.0.1"], [b""]]
            {
                assert_eq!(seen(trusted, "192.0.2.9", &forwarded), network_of("192.0.2.9"));
            }
        }
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        for (forwarded, client) in [
            (&[][..], "10.0.0.1"),
            (&[b"1.2.3.4".as_slice()], "1.2.3.4"),
            // What the client itself has sent is on the left.
            (&[b"6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            (&[b"6.6.6.6", b"1.2.3.4"], "1.2.3.4"),
            (&[b"6.6.6.6, 10.0.0.7, 1.2.3.4,10.0.0.3 , 10.0.0.2"], "1.2.3.4"),
            (&[b"6.6.6.6", b"1.2.3.4", b"10.0.0.3", b"10.0.0.2"], "1.2.3.4"),
            (&[b"1.2.3.4:1234"], "1.2.3.4"),
            (&[b"::ffff:1.2.3.4"], "1.2.3.4"),
            (&[b"[2001:db8::1]:1234"], "2001:db8::1"),
            (&[b"[2001:db8::1]"], "2001:db8::1"),
            (&[b"2001:db8::1"], "2001:db8::1"),
            // All are trusted: the call comes from the outermost.
            (&[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(seen("10.0.0.0/8", "10.0.0.1", forwarded), network_of(client));
        }
    }

    #[test]
    fn what_is_malformed_stands_for_nobody_further_away() {
        for bad in [
            b"".as_slice(),
            b" ",
            b"unknown",
            b"1.2.3",
            b"1.2.3.4:",
            b"1.2.3.4:99999",
            b"[1.2.3.4",
            b"[[::1]]",
            b"fe80::1%eth0",
            b"for=1.2.3.4",
            b"\"1.2.3.4\"",
            b"1.2.3.4;5.6.7.8",
            b"\xff\xfe",
        ] {
            let first = [b"6.6.6.6, ".as_slice(), bad].concat();
            assert_eq!(seen("10.0.0.0/8", "10.0.0.1", &[&first]), network_of("10.0.0.1"));
            let second = [b"6.6.6.6,".as_slice(), bad, b", 10.0.0.9"].concat();
            assert_eq!(seen("10.0.0.0/8", "10.0.0.1", &[&second]), network_of("10.0.0.9"));
        }
    }

    #[test]
    fn a_network_is_one_address_of_ipv4_and_half_of_one_of_ipv6() {
        let same = |one, other| network_of(one).bytes() == network_of(other).bytes();
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "::192.0.2.1"));
    }

    #[test]
    fn a_list_of_proxies_says_which_entry_is_bad() {
        let mapped = "::ffff:10.0.0.0/104";
        for trusted in [mapped, "::ffff:10.0.0.1", "::1, 10.0.0.1", "10.9.9.9/8"] {
            assert_eq!(seen(trusted, "10.0.0.1", &[b"1.2.3.4"]), network_of("1.2.3.4"));
            assert_eq!(seen(trusted, "::ffff:10.0.0.1", &[b"1.2.3.4"]), network_of("1.2.3.4"));
        }
        assert_eq!(seen(mapped, "11.0.0.1", &[b"1.2.3.4"]), network_of("11.0.0.1"));
        for bad in ["10.0.0.0/33", "10.0.0", "proxy.example", "::/129", "10.0.0.1:80", "x\ny", ""] {
            let list = format!("10.0.0.1,{bad}");
            assert_eq!(list.parse::<TrustedProxies>().unwrap_err(), ProxyFault(bad.to_owned()));
        }
    }
}
